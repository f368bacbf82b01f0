"""Simultaneous gradient play."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Rule, StepInfo


@dataclass(frozen=True)
class Simultaneous(Rule):
    """w_{t+1} = w_t - eta F(w_t): all players move at once, from the same point and the same sample."""

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        gradients = oracle(game, oracle.draw(), players, moves_buffers=True)
        optimizers.apply(game, gradients)
        return StepInfo(gradients.losses)
