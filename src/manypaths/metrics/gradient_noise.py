"""The noise of a gradient estimate, at one fixed point."""

from __future__ import annotations

from dataclasses import dataclass

from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.games.vectors import add_
from manypaths.oracles.base import Oracle
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.variance import Spread, variance_ratio


@dataclass(frozen=True)
class GradientNoise:
    """One player's noise.

    Attributes:
        second_moment: E ||d||^2 of the oracle's estimate d (SME in the SVRE paper).
        variance: tr Cov(d).
        squared_mean: ||E d||^2.
        ratio: Var(SVRG) / Var(mini-batch) at the same point on the same batches; ``None`` without a snapshot.
        age: batches drawn since the snapshot, ``None`` without one.
    """

    second_moment: float
    variance: float
    squared_mean: float
    ratio: float | None = None
    age: int | None = None


def gradient_noise(game: Game, oracle: Oracle, *, draws: int = 8) -> dict[str, GradientNoise]:
    """Measure every player's noise at the current iterate over ``draws`` independent batches.

    Nothing that training depends on moves: the source, the oracle's coins, its counters and all buffers come back.
    Its cost is not on the oracle's bill.
    """
    if draws < 2:
        raise InvalidValue(f"draws is {draws}: expected at least 2, for a variance needs two")
    source_state, oracle_state = oracle.source.state_dict(), oracle.state_dict()
    estimate, plain = ({name: Spread() for name in game.players} for _ in range(2))
    snapshot = oracle.snapshot if isinstance(oracle, SVRG) else None
    for _ in range(draws):
        sample = oracle.draw()
        if snapshot is None:
            now = oracle(game, sample)
            for name in game.players:
                estimate[name].add(now[name])
            continue
        assert isinstance(oracle, SVRG)
        now, then = game.gradients(sample), oracle.at_snapshot(game, sample)
        for name in game.players:
            plain[name].add(now[name])
            add_(now[name], then[name], -1.0)
            add_(now[name], snapshot.mean[name])
            estimate[name].add(now[name])
    oracle.source.load_state_dict(source_state)
    oracle.load_state_dict(oracle_state)
    age = oracle.age if isinstance(oracle, SVRG) and snapshot is not None else None
    return {
        name: GradientNoise(
            spread.second_moment,
            spread.variance,
            spread.squared_mean,
            None if snapshot is None else variance_ratio(spread, plain[name]),
            age,
        )
        for name, spread in estimate.items()
    }
