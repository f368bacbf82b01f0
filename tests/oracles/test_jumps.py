"""Where a jump (a lookahead sync, a restart) and a snapshot meet: one full pass, and everything that goes by it."""

from __future__ import annotations

import pytest
import torch

from manypaths.games.analytic.bilinear import Bilinear
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.oracles.svrg import SVRG
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import IndexSource
from manypaths.training import Training
from manypaths.vectors import flat


def training_of(game, oracle, rule, **options) -> Training:
    optimizers = {name: torch.optim.SGD(game.parameters(name), lr=0.1) for name in game.players}
    return Training(game, oracle, rule, optimizers, **options)


@pytest.mark.parametrize("schedule", ["svre", "loopless", "fixed"])
@pytest.mark.parametrize("restart_at", ["snapshot", "step"])
def test_no_step_pays_two_full_passes_where_a_sync_a_restart_and_a_snapshot_meet(schedule, restart_at) -> None:
    game = Bilinear.coordinatewise(4)
    oracle = SVRG(IndexSource(4), batch=1, schedule=schedule, every=2)
    average = UniformAverage(restart=0.5, restart_at=restart_at)
    training = training_of(game, oracle, Lookahead(Extragradient(), k=2), averages=average)
    oracle.take_snapshot(game)
    spent, refreshed = oracle.evaluations["x"], 0
    for _ in range(30):
        shot, before = oracle.snapshot, flat(oracle.snapshot.point)
        training.step()
        estimates = 2 * 2  # two draws, each evaluated at both points
        passes, rest = divmod(oracle.evaluations["x"] - spent - estimates, 4)
        assert rest == 0
        assert passes == (oracle.snapshot is not shot)
        assert passes == 0 or not torch.equal(flat(oracle.snapshot.point), before)
        spent, refreshed = oracle.evaluations["x"], refreshed + passes
    assert refreshed >= 15


def test_under_lookahead_averages_restart_at_the_snapshots_of_the_syncs() -> None:
    game = Bilinear.coordinatewise(4)
    oracle = SVRG(IndexSource(4), batch=1, schedule="fixed", every=100)
    average = UniformAverage(restart=1.0)
    training = training_of(game, oracle, Lookahead(Simultaneous(), k=5), averages=average)
    counts = []
    for _ in range(10):
        training.step()
        counts.append(average.count)
    assert counts == [1, 2, 3, 4, 0, 1, 2, 3, 4, 0]
    assert torch.equal(flat(oracle.snapshot.point), game.joint())  # taken after the restart
