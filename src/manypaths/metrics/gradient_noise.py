"""The noise of a gradient estimate, at one fixed point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    state = oracle.state_dict()
    with oracle.source.rewound():
        measure = _both if isinstance(oracle, SVRG) and oracle.snapshot is not None else _one
        noise = measure(game, oracle, draws)
    oracle.load_state_dict(state)
    return noise


def _one(game: Game, oracle: Oracle, draws: int) -> dict[str, GradientNoise]:
    spreads = {name: Spread() for name in game.players}
    for _ in range(draws):
        estimate = oracle(game, oracle.draw())
        for name, spread in spreads.items():
            spread.add(estimate[name])
    return {name: _summary(spread) for name, spread in spreads.items()}


def _both(game: Game, oracle: Any, draws: int) -> dict[str, GradientNoise]:
    """With a snapshot: the mini-batch estimate and the variance-reduced one on the same batches."""
    age = oracle.age
    plain, reduced = ({name: Spread() for name in game.players} for _ in range(2))
    for _ in range(draws):
        sample = oracle.draw()
        now, then = game.gradients(sample), oracle.at_snapshot(game, sample)
        for name in game.players:
            plain[name].add(now[name])
            add_(now[name], then[name], -1.0)
            add_(now[name], oracle.snapshot.mean[name])
            reduced[name].add(now[name])
    used = {name: reduced[name] if oracle.reduces(name) else plain[name] for name in game.players}
    return {name: _summary(used[name], variance_ratio(reduced[name], plain[name]), age) for name in game.players}


def _summary(spread: Spread, ratio: float | None = None, age: int | None = None) -> GradientNoise:
    return GradientNoise(spread.second_moment, spread.variance, spread.squared_mean, ratio, age)
