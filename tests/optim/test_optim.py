"""Optimizers, VRAd and averages."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.from_losses import FromLosses
from manypaths.optim.averaging.ema import EMA
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.optim.base import Optimizers
from manypaths.optim.vradam import VRAd
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import IndexSource
from manypaths.training import Training
from manypaths.vectors import Gradients, flat


def sgd(game, lr=0.1) -> dict:
    return {name: torch.optim.SGD(game.parameters(name), lr=lr) for name in game.players}


def test_vrad_equals_its_formula() -> None:
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimiser = VRAd([p], lr=0.1, betas=(0.3, 0.9), eps=1e-8)
    w, m, v = p.detach().clone(), torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for t in range(1, 20):
        d = torch.tensor([0.5 * t, -1.0 / t], dtype=torch.float64)
        m, v = 0.3 * m + 0.7 * d, 0.9 * v + 0.1 * d * d
        w = w - 0.1 * d * (m.abs() / (1 - 0.3**t)) / (v.sqrt() / (1 - 0.9**t) + 1e-8)
        p.grad = d
        optimiser.step()
    assert (p.detach() - w).abs().max() < 1e-14


def test_vrad_refuses_bad_values() -> None:
    with pytest.raises(InvalidValue, match="expected lr > 0"):
        VRAd([torch.nn.Parameter(torch.zeros(1))], lr=-1)


def test_svre_with_vrad_converges_on_the_noisy_bilinear_game() -> None:
    game = Bilinear.coordinatewise(20)
    oracle = SVRG(IndexSource(20), batch=1, schedule="svre")
    optimizers = {n: VRAd(game.parameters(n), lr=0.3) for n in game.players}
    training = Training(game, oracle, Extragradient(), optimizers, averages=UniformAverage(restart=0.1))
    start = float((game.joint() - game.solution()).norm())
    for _ in range(1500):
        training.step()
    assert float((game.joint() - game.solution()).norm()) < 0.05 * start


def test_clipping_is_per_player() -> None:
    game = Bilinear(torch.eye(2, dtype=torch.float64))
    optimizers = Optimizers(sgd(game, 1.0), clip=1.0)
    zero = torch.zeros((), dtype=torch.float64)
    x, y = torch.tensor([3.0, 4.0], dtype=torch.float64), torch.tensor([0.3, 0.4], dtype=torch.float64)
    optimizers.apply(game, Gradients({"x": [x], "y": [y]}, {"x": zero, "y": zero}))
    assert torch.allclose(game.joint(), torch.tensor([0.4, 0.2, 0.7, 0.6], dtype=torch.float64), atol=1e-6)


def test_schedules_count_steps_of_the_rule() -> None:
    game = Bilinear(torch.eye(1, dtype=torch.float64))
    optimizers = sgd(game)
    schedules = {n: torch.optim.lr_scheduler.ExponentialLR(o, 0.5) for n, o in optimizers.items()}
    optimizers = Optimizers(optimizers, schedules=schedules)
    training = Training(game, FullBatch(IndexSource(1), batch=1), Extragradient(), optimizers)
    for _ in range(3):
        training.step()
    assert optimizers["x"].param_groups[0]["lr"] == pytest.approx(0.1 * 0.5**3)


def test_optimizers_must_match_the_players() -> None:
    game = Bilinear(torch.eye(1))
    with pytest.raises(InvalidValue, match=r"optimizers are for \['x'\] and players are \['x', 'y'\]"):
        Training(game, FullBatch(IndexSource(1), batch=1), Simultaneous(), {"x": sgd(game)["x"]})
    other = Bilinear(torch.eye(1))
    with pytest.raises(InvalidValue, match="the optimiser of 'x' lacks some of its parameters"):
        Training(game, FullBatch(IndexSource(1), batch=1), Simultaneous(), sgd(other))
    with pytest.raises(InvalidType, match="expected a torch.optim.Optimizer"):
        Optimizers({"x": 3})
    nets = {name: torch.nn.Linear(2, 3) for name in "xyz"}
    nets["z"].weight = nets["x"].weight
    shared = FromLosses({name: lambda s, x, y, z: z(x(s)).sum() for name in nets}, nets)
    with pytest.raises(
        InvalidType, match=r"'x' and 'z' share a weight of shape \(3, 2\): expected weights of their own"
    ):
        Training(shared, FullBatch(IndexSource(1), batch=1), Simultaneous(), sgd(shared))
    nets["z"].weight.requires_grad_(False)
    Optimizers(sgd(shared)).check(shared)


@pytest.mark.parametrize("of", ["iterate", "extrapolated"])
def test_averages_equal_the_mean_of_the_path(of) -> None:
    game = Bilinear(torch.eye(2, dtype=torch.float64))
    uniform, ema = UniformAverage(of=of), EMA(decay=0.9, of=of)
    rule = Extragradient(keep_extrapolated=True)
    training = Training(game, FullBatch(IndexSource(1), batch=1), rule, sgd(game), averages={"u": uniform, "e": ema})
    path, mean = [], None
    for t in range(1, 40):
        info = training.step()
        w = game.joint() if of == "iterate" else flat(info.extrapolated)
        path.append(w)
        weight = max(0.1, 1 / t)
        mean = w if mean is None else mean + weight * (w - mean)
    assert (flat(uniform.point()) - torch.stack(path).mean(0)).abs().max() < 1e-14
    assert (flat(ema.point()) - mean).abs().max() < 1e-14
    here = game.joint()
    with uniform.swapped(game):
        assert torch.equal(game.joint(), flat(uniform.point()))
    assert torch.equal(game.joint(), here)


def test_an_average_of_half_iterates_needs_a_rule_that_has_them() -> None:
    game = Bilinear(torch.eye(1))
    with pytest.raises(InvalidType, match="wants extrapolated points and Simultaneous does not announce them"):
        Training(
            game,
            FullBatch(IndexSource(1), batch=1),
            Simultaneous(),
            sgd(game),
            averages=UniformAverage(of="extrapolated"),
        )


def test_a_restart_after_any_step_lands_on_the_mean_since_the_last_one() -> None:
    game = Bilinear.coordinatewise(4)
    optimizers = sgd(game, lr=0.2)
    average = UniformAverage(restart=0.3, restart_at="step")
    training = Training(game, Stochastic(IndexSource(4), batch=1), Extragradient(), optimizers, averages=average)
    path, jumps = [], 0
    for _ in range(40):
        if training.step().jumped:
            jumps, path = jumps + 1, []
            assert average.count == 0
        else:
            path.append(game.joint())
            assert (flat(average.point()) - torch.stack(path).mean(0)).norm() < 1e-13
    assert 5 < jumps < 20


def test_a_restart_between_snapshots_asks_for_a_new_one() -> None:
    game = Bilinear.coordinatewise(4)
    optimizers = sgd(game, lr=0.2)
    oracle = SVRG(IndexSource(4), batch=1, schedule="fixed", every=1e6)
    average = UniformAverage(restart=0.5, restart_at="step")
    training = Training(game, oracle, Extragradient(), optimizers, averages=average)
    ages = [(training.step().jumped, oracle.age) for _ in range(10)]
    assert all((age == 0) == jumped for jumped, age in ages)


def test_a_fused_optimiser_gives_each_weight_its_own_gradient() -> None:
    """A gradient may come transposed in memory (under vmap it does): w - 0.1 * sign(g) either way."""
    w = torch.nn.Linear(3, 2, bias=False).double()
    before, g = w.weight.detach().clone(), torch.tensor([[1.0, -2.0, 3.0], [4.0, -5.0, -6.0]], dtype=torch.float64)
    game = FromLosses({"w": lambda sample, w: w.weight.sum()}, {"w": w})
    optimizers = Optimizers({"w": torch.optim.Adam(w.parameters(), lr=0.1, fused=True)})
    optimizers.apply(game, Gradients({"w": [g.T.contiguous().T]}, {}))
    assert torch.allclose(w.weight, before - 0.1 * g.sign(), rtol=0, atol=1e-8)
