"""Spectral norm in a game: one power iteration per evaluation, kept only where buffers may move."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from manypaths.games.adversarial import Adversarial
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.resnet import ResnetCritic
from manypaths.models.sagan import SaganCritic, SaganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.svrg import SVRG
from manypaths.penalties.r1 import R1
from manypaths.rules.extragradient import Extragradient
from manypaths.sources.paired import PairedSource
from manypaths.testing.conformance import check_pure, mean_error
from manypaths.training import Training
from manypaths.vectors import flat

CLASSES = 3


def small_game(*, penalties=(), classes=None, norm="spectral") -> Adversarial:
    torch.manual_seed(0)
    generator = DcganGenerator(size=8, latent=4, width=4, norm="none", init="torch", classes=classes)
    critic = DcganCritic(size=8, width=4, norm=norm, init="torch", classes=classes)
    conditional = classes is not None
    return game_of(generator, critic, penalties=penalties, conditional=conditional)


def game_of(generator, critic, **options) -> Adversarial:
    return Adversarial(generator.double(), critic.double(), objective=NonSaturating(), **options)


def small_source(size=24, shape=(1, 8, 8)) -> PairedSource:
    return PairedSource(torch.rand(size, *shape, dtype=torch.float64), torch.arange(size) % CLASSES, latent=4)


def normalised(module) -> list[nn.Module]:
    return [m for m in module.modules() if isinstance(m, parametrizations._SpectralNorm)]


def displace(game) -> None:
    """Away from where the vectors have converged, so that one iteration more or less is seen."""
    game.move_to({name: [w + 0.1 * torch.randn_like(w) for w in ws] for name, ws in game.point().items()})


@pytest.mark.parametrize("moves", [False, True])
def test_one_power_iteration_per_evaluation(moves) -> None:
    game, source = small_game(penalties=[R1()]), small_source()
    displace(game)
    norm, layer = normalised(game.critic)[1], game.critic.layers[2]
    weight = layer.parametrizations.weight.original.detach().flatten(1)
    u, v = norm._u.clone(), norm._v.clone()
    game.gradients(source.sample(6), moves_buffers=moves)
    if moves:
        u = nn.functional.normalize(weight @ v, dim=0)
        v = nn.functional.normalize(weight.T @ u, dim=0)
    assert (norm._u - u).abs().max() < 1e-15
    assert (norm._v - v).abs().max() < 1e-15


def test_each_weight_is_computed_once_per_evaluation(monkeypatch) -> None:
    calls, method = [], parametrizations._SpectralNorm._power_method
    counted = lambda self, *given: (calls.append(id(self)), method(self, *given))[1]  # noqa: E731
    game, source = small_game(penalties=[R1()]), small_source()
    monkeypatch.setattr(parametrizations._SpectralNorm, "_power_method", counted)
    game.gradients(source.sample(6))
    assert sorted(calls) == sorted(map(id, normalised(game.critic)))


def test_iterations_converge_to_the_largest_singular_value() -> None:
    critic = DcganCritic(size=8, width=4, norm="spectral", classes=CLASSES).double()
    data, label = torch.rand(2, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 2])
    for _ in range(300):
        critic(data, label)
    critic.eval()
    weights = [critic.layers[i].weight for i in (0, 2, 4)] + [critic.projection.embed.weight]
    assert len(normalised(critic)) == len(weights)
    for weight in weights:
        assert float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2)) == pytest.approx(1.0, abs=1e-12)


def attentive(classes=None) -> Adversarial:
    torch.manual_seed(0)
    generator = SaganGenerator(width=4, latent=4, channels=1, classes=classes)
    critic = SaganCritic(width=4, channels=1, classes=classes)
    game = game_of(generator, critic, penalties=[R1()], conditional=classes is not None)
    displace(game)
    return game


@pytest.mark.parametrize("classes", [None, CLASSES])
def test_games_are_pure(classes) -> None:
    check_pure(small_game(penalties=[R1()], classes=classes), small_source().sample(6))
    check_pure(attentive(classes), small_source(6, (1, 32, 32)).sample(4))


@pytest.mark.parametrize("classes", [None, CLASSES])
def test_penalty_in_a_game_equals_plain_autograd(classes) -> None:
    game, sample = attentive(classes), small_source(6, (1, 32, 32)).sample(4)
    critic, generator = game.players["critic"], game.players["generator"]
    label = () if classes is None else (sample.label,)
    found = game.gradients(sample, ("critic",))["critic"]

    with torch.nn.utils.parametrize.cached():
        real = sample.real.clone().requires_grad_()
        scores = critic(real, *label)
        fake = critic(generator(sample.latent, *label).detach(), *label)
        slopes = torch.autograd.grad(scores.sum(), real, create_graph=True)[0]
        loss = nn.functional.softplus(-scores).mean() + nn.functional.softplus(fake).mean()
        loss = loss + 0.5 * slopes.flatten(1).square().sum(1).mean()
        expected = torch.autograd.grad(loss, game.parameters("critic"))
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() < 1e-12


@pytest.mark.parametrize("norm", ["spectral", "layer"])
@pytest.mark.parametrize("classes", [None, CLASSES])
def test_svrg_is_exact_and_its_snapshot_frozen(norm, classes) -> None:
    game, source = small_game(penalties=[R1()], classes=classes, norm=norm), small_source()
    optimizers = {name: torch.optim.SGD(game.parameters(name), lr=0.3) for name in game.players}
    oracle = SVRG(source, batch=4, schedule="fixed", every=1000)
    training = Training(game, oracle, Extragradient(), optimizers)
    assert not game.couples_samples
    displace(game)
    oracle.take_snapshot(game)
    sample = source.sample(4)
    before = flat(oracle.at_snapshot(game, sample))
    vectors = [b.clone() for b in game.buffers()]
    for _ in range(3):
        training.step()
    assert torch.equal(flat(oracle.at_snapshot(game, sample)), before)
    if norm == "spectral":
        assert not any(torch.equal(a, b) for a, b in zip(game.buffers(), vectors, strict=True) if len(a) > 1)
        assert all(torch.equal(a, b) for a, b in zip(oracle.snapshot.buffers, vectors, strict=True))
    assert mean_error(game, oracle) < 1e-12


def test_chunks_of_a_full_gradient_see_one_spectral_norm() -> None:
    game, source = small_game(), small_source()
    displace(game)
    whole = flat(game.gradients(next(source.all(24))))
    oracle = FullBatch(source, chunk=7)
    oracle.bind(game)
    u, v = (b.clone() for b in game.buffers()[2:4])
    weight = game.parameters("critic")[3].detach().flatten(1)
    assert (flat(oracle(game, oracle.draw(), moves_buffers=True)) - whole).norm() < 1e-12
    u = nn.functional.normalize(weight @ v, dim=0)
    assert (game.buffers()[2] - u).abs().max() < 1e-15, "one iteration for the whole pass"


def test_moved_weights_are_seen_through_the_norm() -> None:
    game, sample = small_game(), small_source().sample(6)
    layer = game.players["critic"].layers[2]
    places = [p.data_ptr() for p in game.parameters("critic")]
    game.players["critic"].eval()
    before = game.gradients(sample, ("critic",))
    normed = layer.weight.detach().clone()
    game.move_to({"critic": [2 * w if w.ndim > 1 else w for w in game.point()["critic"]]})
    after = game.gradients(sample, ("critic",))
    assert [p.data_ptr() for p in game.parameters("critic")] == places
    assert (layer.weight - normed).abs().max() < 1e-15  # W / sigma(W) does not see the scale of W
    assert float(after.losses["critic"]) == pytest.approx(float(before.losses["critic"]), rel=1e-14)
    for p, old, new in zip(game.parameters("critic"), before["critic"], after["critic"], strict=True):
        assert (new - (old / 2 if p.ndim > 1 else old)).abs().max() < 1e-14
    game.move_to({"critic": [w + 0.1 for w in game.point()["critic"]]})
    assert (layer.weight - normed).abs().max() > 1e-3


def test_resumed_equals_uninterrupted() -> None:
    def training() -> Training:
        game = small_game(penalties=[R1()])
        optimizers = {name: torch.optim.Adam(game.parameters(name), lr=1e-2) for name in game.players}
        return Training(game, SVRG(small_source(), batch=4, every=2), Extragradient(), optimizers)

    whole, half, rest = training(), training(), training()
    for _ in range(6):
        whole.step()
    for _ in range(3):
        half.step()
    file = io.BytesIO()
    torch.save(half.state_dict(), file)
    file.seek(0)
    rest.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(3):
        rest.step()
    assert torch.equal(flat(whole.game.point()), flat(rest.game.point()))
    assert all(torch.equal(a, b) for a, b in zip(whole.game.buffers(), rest.game.buffers(), strict=True))


def test_every_weight_of_the_residual_critic_is_normalised() -> None:
    critic = ResnetCritic(width=4, classes=CLASSES)
    weights = [m for m in critic.modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.Embedding))]
    assert len(weights) == len(normalised(critic)) == 2 * 4 + 2 + 1 + 1
    hidden = [m for m in SaganCritic(width=4, size=64).layers if isinstance(m, nn.Conv2d)]
    assert [torch.nn.utils.parametrize.is_parametrized(m) for m in hidden] == [True] * 4 + [False]
