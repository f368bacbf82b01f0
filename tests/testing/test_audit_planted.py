"""Twenty planted defects and ten healthy GANs of different style: all found, and no false alarm."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn
from torch.nn.functional import relu, softplus

from manypaths.games.adversarial import Adversarial
from manypaths.games.from_losses import FromLosses
from manypaths.models.mean_score import MeanScore
from manypaths.objectives.base import Objective
from manypaths.objectives.hinge import Hinge
from manypaths.objectives.minimax import Minimax
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.objectives.relativistic import RelativisticPaired
from manypaths.objectives.wasserstein import Wasserstein
from manypaths.oracles.stochastic import Stochastic
from manypaths.penalties.base import Penalty
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.penalties.r1 import R1
from manypaths.sources.base import FunctionSource
from manypaths.sources.gan_sample import GanSample
from manypaths.sources.paired import PairedSource
from manypaths.testing.audit import audit

pytestmark = pytest.mark.filterwarnings("ignore:.*takes the critic's gradient per sample")
SIZE, WIDTH = 8, 8
LATENT = 6


class Up(nn.Module):
    """A DCGAN generator of plain torch; ``end`` is what stands last."""

    def __init__(self, size=SIZE, width=WIDTH, channels=1, end=torch.tanh, norm=True):
        super().__init__()
        self.size, self.end, self.first = size // 4, end, nn.Linear(LATENT, 2 * width * (size // 4) ** 2)
        self.one = nn.ConvTranspose2d(2 * width, width, 4, 2, 1)
        self.bn = nn.BatchNorm2d(width) if norm else nn.Identity()
        self.two = nn.ConvTranspose2d(width, channels, 4, 2, 1)

    def forward(self, z):
        h = relu(self.first(z)).reshape(len(z), -1, self.size, self.size)
        return self.end(self.two(relu(self.bn(self.one(h)))))


def down(size=SIZE, width=WIDTH, channels=1, *, norm=False, wrap=lambda m: m, end=(), inplace=False):
    """A DCGAN critic of plain torch."""
    return nn.Sequential(
        wrap(nn.Conv2d(channels, width, 4, 2, 1)),
        nn.LeakyReLU(0.2, inplace=inplace),
        wrap(nn.Conv2d(width, 2 * width, 4, 2, 1)),
        *([nn.BatchNorm2d(2 * width)] if norm else []),
        nn.LeakyReLU(0.2, inplace=inplace),
        nn.Flatten(),
        wrap(nn.Linear(2 * width * (size // 4) ** 2, 1)),
        nn.Flatten(0),
        *end,
    )


class Residual(nn.Module):
    def __init__(self, inside, width):
        super().__init__()
        self.inside, self.a, self.b = inside, nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x):
        return x + self.b(relu(self.a(relu(x))))


def resnet(width=WIDTH, channels=1):
    layers = nn.Conv2d(channels, width, 3, 1, 1), Residual(None, width), nn.AvgPool2d(2), Residual(None, width)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1), nn.Flatten(0))


class InPlaceOnInput(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.inner = down(size)

    def forward(self, x):
        return self.inner(nn.functional.leaky_relu_(x, 0.2))


class Tied(nn.Module):
    """A critic whose second layer is its first."""

    def __init__(self, size):
        super().__init__()
        d = size * size
        self.layer, self.head = nn.Linear(d, d), nn.Linear(d, 1)

    def forward(self, x):
        h = relu(self.layer(x.flatten(1)))
        return self.head(relu(self.layer(h)))[:, 0]


class LabelledUp(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.embed, self.inner = nn.Embedding(4, LATENT), Up(size)

    def forward(self, z, label):
        return self.inner(z + self.embed(label))


class LabelledDown(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.embed, self.inner = nn.Embedding(4, size * size), down(size)

    def forward(self, x, label):
        return self.inner(x + self.embed(label).reshape(x.shape))


class On(nn.Module):
    """A critic with something done before or after it."""

    def __init__(self, size=SIZE, before=lambda x: x, after=lambda s: s, channels=1):
        super().__init__()
        self.inner, self.before, self.after = down(size, channels=channels), before, after

    def forward(self, x):
        return self.after(self.inner(self.before(x)))


class Own(Penalty):
    """10 E (norm(slope) - 1)^2 with a norm and a slope of one's own."""

    couples_samples = False

    def __init__(self, norm, slope=lambda s: s.sum()):
        self.norm, self.slope = norm, slope

    def __call__(self, critic, sample, fake):
        x = sample.real.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.slope(critic(x)), x, create_graph=True)
        return 10 * (self.norm(gradient) - 1).square().mean()


class MeanR1(Penalty):
    def __call__(self, critic, sample, fake):
        x = sample.real.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(x).mean(), x, create_graph=True)
        return gradient.flatten(1).square().sum(1).mean()


class Summed(Objective):
    def critic(self, real, fake):
        return softplus(-real).sum() + softplus(fake).sum()

    def generator(self, fake, real=None):
        return softplus(-fake).mean()


class FakeMinimax(NonSaturating):
    zero_sum = True


class Logs(NonSaturating):
    def critic(self, real, fake):
        return -(real.log().mean() + (1 - fake).log().mean())


def images(size=SIZE, channels=1):
    draw = torch.Generator().manual_seed(0)
    return torch.randint(256, (64, channels, size, size), dtype=torch.uint8, generator=draw)


def source(data=None, size=SIZE, channels=1, **options):
    data = images(size, channels) if data is None else data
    return PairedSource.from_dataset(data, latent=LATENT, **options)


def gan(generator=None, critic=None, objective=None, penalties=(), size=SIZE, **options):
    objective = objective or NonSaturating()
    return Adversarial(generator or Up(size), critic or down(size), objective=objective, penalties=penalties, **options)


def colour(penalty):
    return gan(Up(channels=3), down(channels=3), penalties=[penalty]), source(channels=3)


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Up()

    def forward(self, z):
        return self.inner(z).detach()


class Spare(nn.Module):
    def __init__(self, by):
        super().__init__()
        self.inner, self.spare, self.by = down(), nn.Linear(3, 3), by

    def forward(self, x):
        return self.inner(x) + (self.by * self.spare(x.flatten(1)[:, :3]).sum(1) if self.by is not None else 0.0)


def repeating_source():
    few = torch.randn(16, LATENT, generator=torch.Generator().manual_seed(0))
    data = images() / 127.5 - 1

    def draw(n, g):
        i, j = (torch.randint(high, (n,), generator=g) for high in (64, 16))
        return GanSample(data[i], few[j], i)

    return FunctionSource(draw)


def nan_source():
    data = torch.full((1, 1, 8, 8), float("nan"))
    return FunctionSource(lambda n, g: GanSample(data.expand(n, 1, 8, 8), torch.randn(n, LATENT), torch.arange(n)))


def shared():
    generator, critic = Up(), down()
    critic[0].bias = generator.bn.weight
    return Adversarial(generator, critic, objective=Minimax())


PATCHES = lambda: nn.Sequential(nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 3, 1, 1))  # noqa: E731
PLANTED = {
    "a column of scores": ("score shape", lambda: (gan(critic=On(after=lambda s: s[:, None])), source())),
    "a map of scores": ("score shape", lambda: (gan(critic=PATCHES()), source())),
    "noise of NumPy's": ("impure", lambda: (gan(Up(norm=False), On(before=_noisy)), source())),
    "minibatch statistics": (
        "undeclared coupling",
        lambda: (gan(Up(norm=False), On(before=lambda x: x - x.mean(0))), source()),
    ),
    "one loss is a sum": ("sum instead of mean", lambda: (gan(objective=Summed()), source())),
    "BatchNorm under R1": (
        "batchnorm under a penalty",
        lambda: (gan(critic=down(norm=True), penalties=[R1()]), source()),
    ),
    "norm(dim=1), grey": ("penalty norm per pixel", lambda: (gan(penalties=[Own(lambda g: g.norm(dim=1))]), source())),
    "norm(2, dim=1), colour": ("penalty norm per pixel", lambda: colour(Own(lambda g: g.norm(2, dim=1)))),
    "norm of the batch": (
        "penalty norm per batch",
        lambda: (gan(penalties=[Own(lambda g: g.norm())], couples_samples=True), source()),
    ),
    "penalty of mean scores": (
        "penalty of the mean score",
        lambda: (gan(penalties=[Own(lambda g: g.flatten(1).norm(dim=1), lambda s: s.mean())]), source()),
    ),
    "R1 of mean scores": ("penalty of the mean score", lambda: (gan(penalties=[MeanR1()]), source())),
    "sqrt at zero": (
        "penalty at zero gradient",
        lambda: (gan(penalties=[Own(lambda g: g.flatten(1).square().sum(1).sqrt())]), source()),
    ),
    "minimax in name only": ("not minimax", lambda: (gan(objective=FakeMinimax()), source())),
    "shared weights": ("shared parameters", lambda: (shared(), source())),
    "a layer nobody asks": ("unused parameters", lambda: (gan(critic=Spare(None)), source())),
    "a layer times zero": ("zero gradient", lambda: (gan(critic=Spare(0.0)), source())),
    "detached fakes": ("no gradient", lambda: (gan(Frozen()), source())),
    "floats 0 to 255": ("data range", lambda: (gan(), source(images().float()))),
    "floats 0 to 1 under hardtanh": (
        "data range",
        lambda: (gan(Up(end=nn.Hardtanh(inplace=True))), source(images() / 255)),
    ),
    "a sigmoid in forward": ("probabilities as logits", lambda: (gan(critic=On(after=torch.sigmoid)), source())),
    "a sigmoid under hinge": (
        "probabilities as logits",
        lambda: (gan(critic=down(end=(nn.Sigmoid(), nn.Identity())), objective=Hinge()), source()),
    ),
    "fixed latents": ("frozen latents", lambda: (gan(), repeating_source())),
    "NaN in the data": ("data not finite", lambda: (gan(), nan_source())),
    "another size": ("sizes", lambda: (gan(Up(16), resnet()), source())),
    "log of logits": ("non-finite loss", lambda: (gan(objective=Logs()), source())),
}


def _noisy(x):
    import numpy

    return x + torch.from_numpy(numpy.random.default_rng().normal(size=x.shape)).float()


@pytest.mark.parametrize("defect", PLANTED)
def test_each_planted_defect_is_found_and_nothing_else(defect) -> None:
    name, make = PLANTED[defect]
    torch.manual_seed(0)
    found = audit(*make(), measure=False)
    assert [finding.name for finding in found.findings] == [name]


def test_the_advice_for_a_map_of_scores_is_its_mean() -> None:
    (found,) = audit(gan(critic=PATCHES()), source(), measure=False).findings
    assert "MeanScore(critic)" in found.remedy
    assert "flatten" not in str(found)


def test_latents_that_this_oracle_freezes_are_found() -> None:
    for options, names in (({"latents": "paired"}, ["frozen latents"]), ({}, []), ({"latents": "fresh"}, [])):
        data = source(**options)
        page = audit(gan(), data, oracle=Stochastic(data), measure=False)
        assert [finding.name for finding in page.findings] == names


def mlp(size):
    d = size * size
    layers = nn.Linear(LATENT, 64), nn.ReLU(), nn.Linear(64, d), nn.Tanh(), nn.Unflatten(1, (1, size, size))
    critic = nn.Sequential(nn.Flatten(), nn.Linear(d, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1), nn.Flatten(0))
    return Adversarial(nn.Sequential(*layers), critic, objective=Minimax())


def spectral(size):
    return gan(Up(size), down(size, wrap=nn.utils.parametrizations.spectral_norm), objective=Hinge())


def one_dimension(size):
    generator = nn.Sequential(nn.Linear(LATENT, 16), nn.ReLU(), nn.Linear(16, 1))
    critic = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0))
    return Adversarial(generator, critic, objective=RelativisticPaired())


def own_losses(size):
    players = {"generator": Up(size, norm=False), "critic": down(size)}

    def critic(batch, generator, critic):
        return softplus(-critic(batch["image"])).mean() + softplus(critic(generator(batch["noise"]))).mean()

    losses = {
        "critic": critic,
        "generator": lambda b, generator, critic: softplus(-critic(generator(b["noise"]))).mean(),
    }
    return FromLosses(losses, players)


def dicts(size):
    data = images(size) / 127.5 - 1

    def draw(n, g):
        i = torch.randint(64, (n,), generator=g)
        return {"image": data[i], "noise": torch.randn(n, LATENT, generator=g)}

    return FunctionSource(draw)


def labelled(size):
    return PairedSource(images(size), torch.arange(64) % 4, latent=LATENT)


def line(size):
    return source(torch.randn(64, 1, generator=torch.Generator().manual_seed(0)))


HEALTHY = {
    "DCGAN with BatchNorm": lambda n: (gan(Up(n), down(n, norm=True)), source(size=n)),
    "MLP, minimax": lambda n: (mlp(n), source(size=n)),
    "spectral norm, hinge": lambda n: (spectral(n), source(size=n)),
    "ResNet, WGAN-GP": lambda n: (gan(Up(n), resnet(), Wasserstein(), [GradientPenalty()]), source(size=n)),
    "patches": lambda n: (gan(Up(n), MeanScore(PATCHES()), penalties=[R1()]), source(size=n)),
    "one dimension, relativistic": lambda n: (one_dimension(n), line(n)),
    "conditional": lambda n: (gan(LabelledUp(n), LabelledDown(n), conditional=True), labelled(n)),
    "in-place activations": lambda n: (gan(Up(n), down(n, inplace=True)), source(size=n)),
    "in-place on the input": lambda n: (gan(Up(n, end=lambda x: x), InPlaceOnInput(n)), source(size=n)),
    "tied weights": lambda n: (gan(Up(n), Tied(n)), source(size=n)),
    "Wasserstein, last bias": lambda n: (gan(Up(n), down(n), Wasserstein()), source(size=n)),
    "losses of one's own on dicts": lambda n: (own_losses(n), dicts(n)),
}


@pytest.mark.parametrize("style", HEALTHY)
def test_a_healthy_gan_raises_no_alarm(style) -> None:
    torch.manual_seed(0)
    game, data = HEALTHY[style](SIZE)
    before = {k: v.clone() for player in game.players.values() for k, v in player.state_dict().items()}
    assert audit(game, data, measure=False).findings == ()
    after = {k: v for player in game.players.values() for k, v in player.state_dict().items()}
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_measurements_of_dicts_and_of_small_data_do_not_fail() -> None:
    page = audit(own_losses(SIZE), dicts(SIZE))
    assert "variance reduction: not measured, for the source is infinite" in str(page)
    assert "largest stable SGD step of extragradient" in str(page)


@pytest.mark.slow
@pytest.mark.parametrize("style", HEALTHY)
def test_an_audit_at_28_pixels_takes_less_than_20_seconds(style) -> None:
    torch.manual_seed(0)
    game, data = HEALTHY[style](28)
    started = time.process_time()
    audit(game, data)
    assert time.process_time() - started < 20
