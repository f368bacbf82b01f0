"""Networks: sizes, parameter counts from the layouts by hand, what labels do, refusals."""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import pytest
import torch
from torch import nn

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.models.classifiers import CifarCnn
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.labels import ConditionalBatchNorm
from manypaths.models.layers import SelfAttention
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.models.r3gan import R3ganCritic, R3ganGenerator, Resample, ResidualBlock
from manypaths.models.resnet import DownBlock, ResnetCritic, ResnetGenerator
from manypaths.models.sagan import SaganCritic, SaganGenerator
from manypaths.specs import Spec


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


def conv(inputs, outputs, kernel, bias=True) -> int:
    return inputs * outputs * kernel**2 + bias * outputs


def attention(channels) -> int:
    return 2 * conv(channels, channels // 8, 1) + conv(channels, channels, 1) + 1


def test_the_paper_s_networks() -> None:
    generator, critic = DcganGenerator(), DcganCritic()
    convolutions = 128 * 512 * 9 + 512 * 256 * 16 + 256 * 128 * 16 + 128 * 16
    assert count(generator) == convolutions + 2 * (512 + 256 + 128) == 3_215_104
    assert count(critic) == 64 * 16 + 64 * 128 * 16 + 128 * 256 * 16 + 256 * 9 + 2 * (128 + 256) == 659_456


@pytest.mark.parametrize(("size", "widths", "total"), [(32, (4, 2, 1), 3_677_952), (64, (8, 4, 2, 1), 13_117_184)])
def test_dcgan_generator_counts(size, widths, total) -> None:
    channels = [128, *(128 * w for w in widths), 3]
    convolutions = sum(16 * a * b for a, b in pairwise(channels))
    assert count(DcganGenerator(size=size, channels=3)) == convolutions + 2 * sum(channels[1:-1]) == total
    embedding = 10 * 128
    assert count(DcganGenerator(size=size, channels=3, classes=10)) == total + embedding


@pytest.mark.parametrize(("size", "widths", "total"), [(32, (1, 2, 4), 663_296), (64, (1, 2, 4, 8), 2_765_568)])
def test_dcgan_critic_counts(size, widths, total) -> None:
    channels = [3, *(64 * w for w in widths), 1]
    convolutions = sum(16 * a * b for a, b in pairwise(channels))
    assert count(DcganCritic(size=size, channels=3)) == convolutions + 2 * sum(channels[2:-1]) == total
    assert count(DcganCritic(size=size, channels=3, norm="layer")) == total
    assert count(DcganCritic(size=size, channels=3, norm="spectral")) == convolutions + sum(channels[1:])
    assert count(DcganCritic(size=size, channels=3, classes=10)) == total + 10 * channels[-2]


def test_sagan_counts() -> None:
    small = conv(128, 256, 4) + conv(256, 128, 4) + conv(128, 64, 4) + conv(64, 3, 4) + attention(128) + attention(64)
    assert count(SaganGenerator()) == small + 2 * (256 + 128 + 64) == 1_209_909
    large = small - conv(128, 256, 4) + conv(128, 512, 4) + conv(512, 256, 4)
    assert count(SaganGenerator(size=64)) == large + 2 * (512 + 256 + 128 + 64) == 3_832_885
    assert count(SaganGenerator(classes=10)) == small + 20 * (256 + 128 + 64)
    small = conv(3, 64, 4) + conv(64, 128, 4) + conv(128, 256, 4) + attention(256)
    assert count(SaganCritic()) == small + conv(256, 1, 4) == 745_218
    large = small + conv(256, 512, 4) + attention(512)
    assert count(SaganCritic(size=64)) == large + conv(512, 1, 4) == 3_175_299
    assert count(SaganCritic(classes=10)) == 745_218 + 10 * 256


def test_resnet_counts() -> None:
    block = 2 * conv(256, 256, 3) + 2 * 2 * 256
    ends = 129 * 4096 + 2 * 256 + conv(256, 3, 3)
    assert count(ResnetGenerator()) == ends + 3 * block == 4_079_363
    assert count(ResnetGenerator(size=64)) == ends + 4 * block == 5_260_547
    assert count(ResnetGenerator(classes=10)) == 4_079_363 + 9 * 2 * 256 * 7
    keeps = 2 * conv(128, 128, 3)
    halves, first = keeps + conv(128, 128, 1), conv(3, 128, 3) + conv(128, 128, 3) + conv(3, 128, 1)
    assert count(ResnetCritic()) == first + halves + 2 * keeps + 129 == 1_053_825
    assert count(ResnetCritic(size=64)) == first + 2 * halves + 2 * keeps + 129 == 1_365_505
    assert count(ResnetCritic(classes=10)) == 1_053_825 + 10 * 128


def test_cifar_cnn() -> None:
    plain = sum(conv(a, b, 3, bias=False) + 2 * b for a, b in [(3, 32), (32, 64), (64, 128)])
    residual = sum(2 * (conv(c, c, 3, bias=False) + 2 * c) for c in (64, 128))
    net = CifarCnn().eval()
    assert count(net) == plain + residual + 129 * 10 == 464_170
    images = torch.randint(256, (3, 3, 32, 32), dtype=torch.uint8)
    features = net.features(images)
    assert features.shape == (3, net.num_features)
    assert features.min() >= 0
    assert torch.equal(net(images), net.head(features))
    assert net(images).shape == (3, 10)


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("size", [8, 28, 32, 64])
def test_dcgan_shapes(size, norm) -> None:
    generator = DcganGenerator(size=size, channels=3, latent=5, width=4, norm=norm)
    critic = DcganCritic(size=size, channels=3, width=4, norm=norm)
    images = generator(torch.randn(6, 5))
    assert images.shape == (6, 3, size, size)
    assert images.abs().max() <= 1
    assert critic(images).shape == (6,)


@pytest.mark.parametrize(("generator", "critic"), [(SaganGenerator, SaganCritic), (ResnetGenerator, ResnetCritic)])
def test_64_pixels(generator, critic) -> None:
    images = generator(size=64, latent=5, width=4)(torch.randn(2, 5))
    assert images.shape == (2, 3, 64, 64)
    assert critic(size=64, width=4)(images).shape == (2,)


def test_dcgan_weights_are_drawn_layer_by_layer() -> None:
    torch.manual_seed(3)
    critic = DcganCritic(width=2)
    torch.manual_seed(3)
    convolutions = [nn.Conv2d(a, b, k, bias=False) for a, b, k in [(1, 2, 4), (2, 4, 4), (4, 8, 4), (8, 1, 3)]]
    expected = []
    for i, layer in enumerate(convolutions):
        expected.append(nn.init.normal_(layer.weight, 0.0, 0.02))
        if i in (1, 2):
            expected += [torch.randn(layer.out_channels) * 0.02 + 1.0, torch.zeros(layer.out_channels)]
    assert [n for n, _ in critic.named_parameters()][:3] == ["layers.0.weight", "layers.2.weight", "layers.3.weight"]
    for found, value in zip(critic.parameters(), expected, strict=True):
        assert torch.equal(found, value)


@torch.no_grad()
def test_attention_by_hand() -> None:
    layer = SelfAttention(8).double()
    layer.gamma.fill_(0.7)
    data = torch.randn(1, 8, 2, 2, dtype=torch.float64)
    pixels = data[0].flatten(1).T
    query, key, value = (pixels @ m.weight.flatten(1).T + m.bias for m in (layer.query, layer.key, layer.value))
    for i in range(4):
        weights = [float(torch.exp(query[i] @ key[j])) for j in range(4)]
        mixed = sum(w * value[j] for j, w in enumerate(weights)) / sum(weights)
        found = layer(data)[0].flatten(1).T[i]
        assert (found - (pixels[i] + 0.7 * mixed)).abs().max() < 1e-12


def test_a_shortcut_pools_before_or_after_its_convolution() -> None:
    block = DownBlock(3, 5, pools=True).double()
    data = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    pool, convolution = block.shortcut
    assert (block.shortcut(data) - pool(convolution(data))).abs().max() < 1e-12


def test_layer_norm_has_right_third_derivatives() -> None:
    critic = DcganCritic(size=8, width=2, norm="layer", init="torch").double()
    weights, data = list(critic.parameters()), torch.randn(3, 1, 8, 8, dtype=torch.float64, requires_grad=True)

    def squared_field() -> torch.Tensor:
        slopes = torch.autograd.grad(critic(data).sum(), data, create_graph=True)[0]
        penalty = (slopes.flatten(1).norm(dim=1) - 1).square().mean()
        return sum(g.square().sum() for g in torch.autograd.grad(penalty, weights, create_graph=True) if g is not None)

    slope = torch.autograd.grad(squared_field(), weights[0])[0][0, 0, 1, 1]
    ends = []
    for step in (1e-6, -2e-6):
        with torch.no_grad():
            weights[0][0, 0, 1, 1] += step
        ends.append(float(squared_field().detach()))
    assert float(slope) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


# ---- labels -----------------------------------------------------------------------------------------------------


def test_labels_shift_the_latents() -> None:
    generator = DcganGenerator(size=8, width=4, latent=5, classes=3).double()
    z, y = torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 2, 1, 2])
    shifted = z + generator.label.embed.weight[y]
    assert torch.equal(generator(z, y), generator.layers(shifted[:, :, None, None]))


@pytest.mark.parametrize(
    ("critic", "shape"),
    [
        (MlpCritic(shape=(7,), hidden=(6,), classes=3), (7,)),
        (DcganCritic(size=8, width=4, norm="none", classes=3), (1, 8, 8)),
        (SaganCritic(width=4, classes=3), (3, 32, 32)),
        (ResnetCritic(width=4, classes=3), (3, 32, 32)),
    ],
    ids=lambda value: type(value).__name__,
)
@torch.no_grad()
def test_projection_by_hand(critic, shape) -> None:
    critic = critic.double().eval()
    data, y = torch.randn(4, *shape, dtype=torch.float64), torch.tensor([0, 2, 1, 2])
    features = critic.layers[:-1](data.flatten(1) if len(shape) == 1 else data)
    score = critic.layers[-1](features).flatten()
    totals = features if features.ndim == 2 else features.sum((2, 3))
    for i in range(4):
        product = critic.projection.embed.weight[y[i]] @ totals[i]
        assert float(critic(data, y)[i]) == pytest.approx(float(score[i] + product), abs=1e-12)


def test_conditional_batchnorm_by_hand() -> None:
    norm = ConditionalBatchNorm(3, 2).double()
    with torch.no_grad():
        norm.scale.weight += torch.randn(3, 2)
        norm.shift.weight += torch.randn(3, 2)
    data, y = torch.randn(4, 2, 3, 3, dtype=torch.float64), torch.tensor([0, 2, 1, 2])
    mean, variance = data.mean((0, 2, 3), keepdim=True), data.var((0, 2, 3), correction=0, keepdim=True)
    plain = (data - mean) / (variance + 1e-5).sqrt()
    expected = plain * norm.scale.weight[y][:, :, None, None] + norm.shift.weight[y][:, :, None, None]
    assert (norm(data, y) - expected).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DcganGenerator(size=29), "DcganGenerator.size is 29"),
        (lambda: DcganCritic(width=0), "DcganCritic.width is 0: expected a number >= 1"),
        (lambda: DcganCritic(norm="spectrl"), "unknown value of DcganCritic.norm: 'spectrl': did you mean 'spectral'"),
        (lambda: DcganGenerator(norm="spectral"), "unknown value of DcganGenerator.norm: 'spectral'"),
        (lambda: SaganCritic(size=28), r"SaganCritic.size is 28: expected 32 \| 64"),
        (lambda: ResnetGenerator(classes=0), "ResnetGenerator.classes is 0: expected a number >= 1"),
        (lambda: MlpGenerator(hidden=(64, -1)), r"MlpGenerator.hidden\[1\] is -1"),
    ],
)
def test_refusals(make, message) -> None:
    with pytest.raises((InvalidValue, InvalidType), match=message):
        make()


def test_refused_labels() -> None:
    z, y = torch.randn(3, 8), torch.tensor([0, 1, 3])
    conditional = MlpGenerator(classes=3)
    with pytest.raises(InvalidType, match="labels reach from 0 to 3 and the network has 3 classes: expected 0 to 2"):
        conditional(z, y)
    with pytest.raises(InvalidType, match="MlpGenerator has 3 classes and got no labels: expected conditional=True"):
        conditional(z)
    with pytest.raises(InvalidType, match=r"labels are torch.int64 of shape \(3, 1\): expected one class index"):
        conditional(z, y[:, None])
    with pytest.raises(InvalidType, match=r"labels are torch.float32 of shape \(3,\): expected one class index"):
        conditional(z, y.float())
    with pytest.raises(InvalidType, match="MlpGenerator got labels and has no classes"):
        MlpGenerator()(z, y)


def test_a_conditional_recipe_trains() -> None:
    from manypaths.recipes.digits import adam

    classes = {f"game.{name}.classes": "10" for name in ("critic", "generator")}
    recipe = adam().with_({"game.conditional": "true", **classes})
    training = recipe.build()
    before = training.game.point()
    for _ in range(2):
        training.step()
    for name, network in training.game.players.items():
        names = [n for n, _ in network.named_parameters()]
        assert sum("embed" in n for n in names) == 1
        moved = [not torch.equal(a, b) for a, b in zip(before[name], training.game.point()[name], strict=True)]
        assert all(moved), names
    with pytest.raises(InvalidType, match="labels reach from 0 to [89] and the network has 5 classes"):
        recipe.with_({"game.critic.classes": "5"}).build()
    with pytest.raises(InvalidType, match="MlpCritic got labels and has no classes: expected classes=10"):
        recipe.with_({"game.critic.classes": "none"}).build()


def test_any_module_of_the_user_s_plays(tmp_path, monkeypatch) -> None:
    from manypaths.recipes.digits import adam
    from manypaths.run.recipe import Recipe

    (tmp_path / "my_networks.py").write_text(
        "from torch import nn\n"
        "class Critic(nn.Sequential):\n"
        "    def __init__(self, hidden: int = 4):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(64, hidden), nn.Tanh(), nn.Linear(hidden, 1))\n"
        "    def forward(self, data):\n"
        "        return super().forward(data).flatten()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = adam().with_({"game.critic": "my_networks:Critic", "game.critic.hidden": "7"})
    assert Recipe.from_plain(json.loads(json.dumps(recipe.to_plain()))) == recipe
    training = recipe.build()
    assert type(training.game.players["critic"]).__module__ == "my_networks"
    assert count(training.game.players["critic"]) == 65 * 7 + 8
    for _ in range(2):
        assert all(torch.isfinite(loss) for loss in training.step().losses.values())
    with pytest.raises(InvalidValue, match="unknown setting of my_networks:Critic: 'hiden': did you mean 'hidden'"):
        Spec(sys.modules["my_networks"].Critic, hiden=3)
    assert Spec(Adversarial, critic=Spec(sys.modules["my_networks"].Critic)).accepts("generator")


def test_r3gan_by_hand() -> None:
    """Weights counted by hand; a block starts as the identity; [1, 2, 1] keeps a constant map in its middle."""
    block = 2 * (4 * 8 + 8 + 8 * 4 * 9 + 8 + 8 * 4)
    generator = R3ganGenerator(size=8, channels=1, latent=8, width=4, groups=2)
    critic = R3ganCritic(size=8, channels=1, width=4, groups=2)
    assert sum(p.numel() for p in generator.parameters()) == 4 * 16 + 8 * 4 + block + 5
    assert sum(p.numel() for p in critic.parameters()) == 8 + block + 4 * 16 + 4
    data = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ResidualBlock(4, 2, 2)(data), data)
    constant = torch.full((1, 2, 8, 8), 3.0)
    for up, side in ((True, 16), (False, 4)):
        found = Resample(up=up)(constant)
        assert found.shape == (1, 2, side, side)
        assert (found[..., 1:-1, 1:-1] - 3.0).abs().max() < 1e-6
    with pytest.raises(InvalidValue, match="groups is 3 and twice the width 8: expected a divisor of it"):
        R3ganCritic(size=8, width=4, groups=3)
