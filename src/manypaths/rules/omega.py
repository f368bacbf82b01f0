"""Omega: optimism against an average of the past gradients (arXiv 2306.07905)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from manypaths import fields
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Remembered, Rule, StepInfo, remembered
from manypaths.vectors import add_, copied, scale_


@dataclass(eq=False)
class Omega(Rule):
    """w_{t+1} = w_t - eta (g_t + o (g_t - m_t)),  m_{t+1} = beta m_t + (1 - beta) g_t,  m_0 = g_0.

    ``Optimistic`` with an exponential average in the place of the last gradient, against noise; the same for beta = 0.
    The average stays when the iterate jumps.

    Attributes:
        optimism: o.
        beta: how much of the average is kept.
    """

    optimism: fields.NonNegative = 1.0
    beta: fields.Fraction = 0.9
    _average: Remembered = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        gradients = oracle(game, oracle.draw(), players, moves_buffers=True)
        averages: Remembered = {}
        for name, now in remembered(gradients).items():
            past: list[Tensor | None] = self._average.get(name, now)
            add_(gradients[name], now, self.optimism)
            add_(gradients[name], past, -self.optimism)
            scale_(now := [None if t is None else t.clone() for t in now], 1.0 - self.beta)
            add_(now, past, self.beta)
            averages[name] = now
        self._average.update(averages)
        optimizers.apply(game, gradients)
        return StepInfo(gradients.losses)

    def state_dict(self) -> dict[str, Any]:
        return {"average": dict(self._average)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._average = copied(state["average"])
