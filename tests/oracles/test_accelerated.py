"""Accelerated SVRG: the proximal field in closed form, its centre, and its fixed point."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.oracles.accelerated import AcceleratedSVRG
from manypaths.oracles.importance import Importance
from manypaths.oracles.saga import SAGA
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import Index, IndexSource
from manypaths.testing.closed_forms import curved_rotation
from manypaths.testing.conformance import mean_estimate, small_gan, small_source
from manypaths.training import Training
from manypaths.vectors import flat

TAU = 0.4


def training_of(game, oracle, rule=None, lr: float = 0.1) -> Training:
    optimizers = {n: torch.optim.SGD(game.parameters(n), lr=lr) for n in game.players}
    return Training(game, oracle, rule or Simultaneous(), optimizers)


def test_mean_is_the_proximal_field_and_at_the_centre_the_full_one(finite_sum) -> None:
    game, source = finite_sum
    oracle = AcceleratedSVRG(SVRG(source, batch=1), tau=TAU)
    oracle.bind(game)
    sample, centre = oracle.draw(), game.joint()
    assert (flat(oracle(game, sample)) - game.field(centre)).norm() < 1e-14
    assert (mean_estimate(game, oracle) - game.field(centre)).norm() < 1e-12
    game.move_to({n: [w + 0.5 * torch.randn_like(w) for w in ws] for n, ws in game.point().items()})
    expected = game.field(game.joint()) + TAU * (game.joint() - centre)
    assert (mean_estimate(game, oracle) - expected).norm() < 1e-12
    of_y = oracle(game, sample, ("y",))
    assert list(of_y) == ["y"]
    assert torch.equal(of_y["y"][0], oracle(game, sample)["y"][0])


@pytest.mark.parametrize("stage", [1, 3])
def test_closed_form_of_the_loop(stage) -> None:
    """One component, a snapshot every four draws: the centre moves to the iterate with every ``stage``-th of them."""
    m, lr = curved_rotation(), 0.1
    game = Quadratic(m, offsets=torch.linspace(-1, 1, 6, dtype=torch.float64))
    svrg = SVRG(IndexSource(1), batch=1, schedule="fixed", every=4)
    training = training_of(game, AcceleratedSVRG(svrg, tau=TAU, stage=stage), lr=lr)
    w = centre = game.joint()
    for step in range(1, 41):
        w = w - lr * (game.field(w) + TAU * (w - centre))
        training.step()
        assert (game.joint() - w).norm() < 1e-12
        if step % (4 * stage) == 0:
            centre = w


@pytest.mark.parametrize("inner", ["svrg", "stored", "importance"])
def test_the_fixed_point_is_the_solution(finite_sum, inner) -> None:
    game, source = finite_sum
    makes = {
        "svrg": lambda: SVRG(source, batch=1),
        "stored": lambda: SVRG(source, batch=1, store="game"),
        "importance": lambda: Importance(SVRG(source, batch=1), [1.0, 2.0] * 25),
    }
    training = training_of(game, AcceleratedSVRG(makes[inner](), tau=0.1), lr=0.2)
    for _ in range(500):
        training.step()
    assert (game.joint() - game.solution()).norm() < 1e-2
    game.move_to({"x": [game.solution()[:3]], "y": [game.solution()[3:]]})
    training.oracle.take_snapshot(game)
    assert flat(training.oracle(game, training.oracle.draw())).norm() < 1e-12


@pytest.mark.parametrize("schedule", ["fixed", "loopless"])
def test_under_lookahead_the_centre_follows_to_the_solution(finite_sum, schedule) -> None:
    """A sync asks for a snapshot before one is due; the centre moves with it all the same."""
    game, source = finite_sum
    oracle = AcceleratedSVRG(SVRG(source, batch=1, schedule=schedule, every=20), tau=1.0)
    training = training_of(game, oracle, Lookahead(Simultaneous(), k=5), lr=0.1)
    centres = set()
    for _ in range(2000):
        training.step()
        centres.add(float(flat(oracle.centre).sum()))
    assert len(centres) > 300
    assert (game.joint() - game.solution()).norm() < 1e-10


def test_a_jump_of_its_own_moves_the_centre(finite_sum) -> None:
    game, source = finite_sum
    oracle = AcceleratedSVRG(SVRG(source, batch=1), tau=1.0)
    oracle.bind(game)
    oracle.draw()
    game.move_to({n: [w + 1.0 for w in ws] for n, ws in game.point().items()})
    oracle.jumped(game)
    assert torch.equal(flat(oracle.centre), game.joint())
    kept = AcceleratedSVRG(SVRG(source, batch=1, on_jump="keep"), tau=1.0)
    kept.bind(game)
    kept.draw()
    game.move_to({n: [w + 1.0 for w in ws] for n, ws in game.point().items()})
    kept.jumped(game)
    assert torch.equal(flat(kept.centre), game.joint() - 1.0)


def test_parameters_without_a_gradient_have_no_pull_either() -> None:
    game = small_gan()
    oracle = AcceleratedSVRG(SVRG(small_source(), batch=8), tau=TAU)
    oracle.bind(game)
    estimate = oracle(game, oracle.draw())
    inner = oracle.oracle(game, oracle.draw())
    assert [g is None for g in estimate["critic"]] == [g is None for g in inner["critic"]]
    assert any(g is None for g in estimate["critic"])


def test_the_bill_is_the_inner_one(finite_sum) -> None:
    game, source = finite_sum
    oracle = AcceleratedSVRG(SVRG(source, batch=2), tau=TAU)
    oracle.bind(game)
    oracle(game, oracle.draw(), ("x",))
    assert dict(oracle.evaluations) == {"x": 50 + 4, "y": 50}
    oracle.load_state_dict(oracle.state_dict())
    oracle(game, Index(torch.tensor([0])), ("x",))
    assert oracle.evaluations["x"] == oracle.oracle.evaluations["x"] == 50 + 4 + 2


def test_refusals(finite_sum) -> None:
    _, source = finite_sum
    with pytest.raises(InvalidType, match="AcceleratedSVRG.oracle is Stochastic, which takes no snapshots: expected"):
        AcceleratedSVRG(Stochastic(source, batch=1), tau=1.0)
    with pytest.raises(InvalidType, match="AcceleratedSVRG.oracle is SAGA, which takes no snapshots"):
        AcceleratedSVRG(SAGA(source, batch=1), tau=1.0)
    with pytest.raises(InvalidValue, match="AcceleratedSVRG.tau is -1.0: expected a number > 0"):
        AcceleratedSVRG(SVRG(source, batch=1), tau=-1.0)
