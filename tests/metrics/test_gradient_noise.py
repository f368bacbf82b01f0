"""The noise of an estimate, against enumeration."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.metrics.gradient_noise import gradient_noise, noise_scale
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.oracles.consensus import Consensus
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.importance import Importance
from manypaths.oracles.mars import Mars
from manypaths.oracles.page import Page
from manypaths.oracles.saga import SAGA
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.storm import Storm
from manypaths.oracles.svrg import SVRG
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import Index, IndexSource
from manypaths.sources.paired import PairedSource
from manypaths.testing.closed_forms import curved_rotation
from manypaths.training import Training
from manypaths.vectors import flat


def exact_variance(game, n: int, player: str, at_snapshot=None) -> float:
    """tr Cov over a uniformly drawn component function, by enumeration."""
    rows = []
    for i in range(n):
        sample = Index(torch.tensor([i]))
        row = flat({player: game.gradients(sample)[player]})
        if at_snapshot is not None:
            with game.at(at_snapshot):
                row = row - flat({player: game.gradients(sample)[player]})
        rows.append(row)
    return float(torch.stack(rows).var(0, correction=0).sum())


def test_moments_and_ratio_against_enumeration(finite_sum) -> None:
    game, source = finite_sum
    oracle = SVRG(source, batch=1, schedule="fixed", every=1000)
    oracle.bind(game)
    oracle.take_snapshot(game)
    shot = oracle.snapshot.point
    game.move_to({n: [w + 0.5 for w in ws] for n, ws in game.point().items()})
    for _ in range(5):
        oracle.draw()
    noise = gradient_noise(game, oracle, draws=3000)
    for name in game.players:
        reduced = exact_variance(game, source.size, name, shot)
        plain = exact_variance(game, source.size, name)
        full = flat({name: game.gradients(Index(torch.arange(source.size)))[name]})
        assert noise[name].variance == pytest.approx(reduced, rel=0.1)
        assert noise[name].ratio == pytest.approx(reduced / plain, rel=0.15)
        assert noise[name].second_moment == pytest.approx(reduced + float(full.square().sum()), rel=0.05)
        assert noise[name].age == 5


def test_measuring_moves_nothing(finite_sum) -> None:
    game, source = finite_sum
    for oracle in (SVRG(source, batch=2, when="helps"), Stochastic(source, batch=2)):
        oracle.bind(game)
        oracle(game, oracle.draw())
        before = (game.joint(), dict(oracle.evaluations), oracle.draws, source.state_dict()["generator"])
        noise = gradient_noise(game, oracle, draws=4)
        after = (game.joint(), dict(oracle.evaluations), oracle.draws, source.state_dict()["generator"])
        assert torch.equal(before[0], after[0])
        assert before[1:3] == after[1:3]
        assert torch.equal(before[3], after[3])
        assert (noise["x"].ratio is None) == isinstance(oracle, Stochastic)


def test_the_noise_of_layers_adds_up_to_the_players() -> None:
    generator = torch.Generator().manual_seed(0)
    source = PairedSource(torch.rand(40, 1, 8, 8, generator=generator, dtype=torch.float64), latent=4)
    critic = DcganCritic(size=8, width=2, norm="spectral").double()
    game = Adversarial(DcganGenerator(size=8, latent=4, width=2).double(), critic, objective=NonSaturating())
    oracle = SVRG(source, batch=8, schedule="fixed", every=1000)
    oracle.bind(game)
    oracle.take_snapshot(game)
    game.move_to({n: [w + 0.01 * torch.randn_like(w) for w in ws] for n, ws in game.point().items()})
    noise, coarse = (gradient_noise(game, oracle, draws=4, layers=layers) for layers in (True, False))
    assert {name: noise[name] for name in coarse} == coarse
    assert [name for name in noise if name.startswith("critic/")] == [
        "critic/layers.0",
        "critic/layers.2",
        "critic/layers.4",
    ]
    for player in game.players:
        parts = [value for name, value in noise.items() if name.startswith(f"{player}/")]
        assert sum(part.variance for part in parts) == pytest.approx(noise[player].variance, rel=1e-12)
        plain = sum(part.variance / part.ratio for part in parts)
        assert noise[player].variance / plain == pytest.approx(noise[player].ratio, rel=1e-12)


# ---- what an estimate is worth -----------------------------------------------------------------------------------

N, D = 64, 40


def wide(noise: float = 3.0) -> Quadratic:
    """Component functions that differ in their offsets and, half as much, in their matrices; 2 x 40 weights."""
    generator = torch.Generator().manual_seed(2)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    skew = 0.5 * noise * draw(N, D, D) / D**0.5
    matrices = curved_rotation(D).expand(N, 2 * D, 2 * D).clone()
    matrices[:, :D, D:] += skew
    matrices[:, D:, :D] -= skew.mT
    return Quadratic(matrices, noise * draw(N, 2 * D))


def rows_at(game: Quadratic, w: torch.Tensor) -> torch.Tensor:
    return torch.einsum("nij,j->ni", game.matrices, w) + game.offsets


def variance_of(rows: torch.Tensor) -> float:
    return float((rows - rows.mean(0)).square().sum(1).mean())


@pytest.mark.parametrize("batch", [1, 4])
def test_the_noise_scale_is_that_of_the_closed_form_within_five_per_cent(batch) -> None:
    """tr Cov of a single component function over ||F||^2, whatever the batch, over 200 draws."""
    game, source = wide(0.1), IndexSource(N)
    oracle = Stochastic(source, batch=batch)
    oracle.bind(game)
    noise = gradient_noise(game, oracle, draws=200)
    rows = rows_at(game, game.joint())
    parts = [oracle(game, source.sample(batch)) for _ in range(200)]
    accumulated = noise_scale(parts, batch)
    for name, part in (("x", rows[:, :D]), ("y", rows[:, D:])):
        exact = variance_of(part) / float(part.mean(0).square().sum())
        assert noise[name].noise_scale == pytest.approx(exact, rel=0.05)
        assert accumulated[name] == pytest.approx(exact, rel=0.05)
        assert noise[name].equivalent_batch == noise[name].cost == batch
        assert noise[name].ratio is noise[name].correlation is None
    with pytest.raises(InvalidValue, match="fewer than two micro-batches"):
        noise_scale(parts[:1], batch)


def test_svrgs_correlation_bound_and_equivalent_batch_against_enumeration_and_larger_batches() -> None:
    game = wide()
    oracle = SVRG(IndexSource(N), batch=2, schedule="fixed", every=16)
    oracle.bind(game)
    oracle.take_snapshot(game)
    there = rows_at(game, game.joint())
    game.move_to({name: [0.5 * w for w in ws] for name, ws in game.point().items()})
    here = rows_at(game, game.joint())
    noise = gradient_noise(game, oracle, draws=400)
    for name, part in (("x", slice(0, D)), ("y", slice(D, 2 * D))):
        x, y = (rows[:, part] - rows[:, part].mean(0) for rows in (here, there))
        rho2 = float((x * y).sum() ** 2 / (x.square().sum() * y.square().sum()))
        found = noise[name]
        assert found.bound == pytest.approx(1 - rho2, rel=0.05)
        assert found.correlation**2 == pytest.approx(rho2, rel=0.02)
        worth = 2 * variance_of(here[:, part]) / variance_of((here - there)[:, part])
        assert found.equivalent_batch == pytest.approx(worth, rel=0.05)
        assert found.cost == 2 * 2 + N / 16
        enlarged = Stochastic(IndexSource(N), batch=round(worth))
        enlarged.bind(game)
        assert gradient_noise(game, enlarged, draws=400)[name].variance == pytest.approx(found.variance, rel=0.1)


def test_storms_correction_is_that_of_the_previous_point() -> None:
    """Var(d) with d = F_B(w) + (1 - a) (d' - F_B(w')), by enumeration; every draw meets the same past."""
    game = wide()
    oracle = Storm(IndexSource(N), batch=1, momentum=0.2)
    training = Training(game, oracle, Simultaneous(), {n: torch.optim.SGD(game.parameters(n), lr=0.2) for n in "xy"})
    for _ in range(3):
        last = game.joint()
        training.step()
    noise, here, there = gradient_noise(game, oracle, draws=500), rows_at(game, game.joint()), rows_at(game, last)
    for name, part in (("x", slice(0, D)), ("y", slice(D, 2 * D))):
        x, y = (rows[:, part] - rows[:, part].mean(0) for rows in (here, there))
        assert noise[name].variance == pytest.approx(variance_of(x - 0.8 * y), rel=0.1)
        assert noise[name].ratio == pytest.approx(variance_of(x - 0.8 * y) / variance_of(x), rel=0.1)
        rho2 = float((x * y).sum() ** 2 / (x.square().sum() * y.square().sum()))
        assert noise[name].bound == pytest.approx(1 - rho2, rel=0.1)
        assert noise[name].cost == 2


ORACLES = {
    "svrg, best coefficient": lambda source: SVRG(source, batch=4, coefficient="optimal", grain="tensor"),
    "saga": lambda source: SAGA(source, batch=4),
    "storm": lambda source: Storm(source, batch=4),
    "page": lambda source: Page(source, batch=4),
    "mars": lambda source: Mars(source, batch=4),
    "mars, exact": lambda source: Mars(source, batch=4, correction="exact"),
    "importance": lambda source: Importance(Stochastic(source, batch=4), [1.0, 2.0] * 8),
    "consensus": lambda source: Consensus(Stochastic(source, batch=4), weight=0.01),
    "full": lambda source: FullBatch(source, batch=4),
}


@pytest.mark.parametrize("name", ORACLES)
def test_every_oracle_is_compared_with_the_mini_batch_and_nothing_moves(name) -> None:
    ends = []
    for measures in (False, True):
        game = wide()
        oracle = ORACLES[name](IndexSource(N))
        optimizers = {n: torch.optim.SGD(game.parameters(n), lr=0.1) for n in "xy"}
        training = Training(game, oracle, Simultaneous(), optimizers)
        for _ in range(4):
            training.step()
            noise = gradient_noise(game, oracle, draws=3) if measures else {}
        ends.append((game.joint(), dict(oracle.evaluations)))
    assert torch.equal(ends[0][0], ends[1][0])
    assert ends[0][1] == ends[1][1]
    for value in noise.values():
        assert value.ratio is not None
        assert value.ratio >= 0.0
        assert value.cost >= (3 if name == "saga" else 4), "what SAGA draws twice is evaluated once"
        assert value.noise_scale > 0
        assert (value.bound is None) == (value.correlation is None)
        assert (value.correlation is None) == (name in ("importance", "consensus", "full"))
        assert name != "full" or (value.ratio == 0.0 and value.equivalent_batch == float("inf") and value.cost == N)
