"""Optimistic gradient descent, on the gradient or on the base's update."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from manypaths import fields
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Remembered, Rule, StepInfo, remembered
from manypaths.vectors import add_, copied


@dataclass(eq=False)
class Optimistic(Rule):
    """w_{t+1} = w_t - eta (F(w_t) + o (F(w_t) - F(w_{t-1}))): one gradient per step, corrected by the last one.

    ``of="gradient"`` (OGDA) hands the corrected gradient to the base. ``of="update"`` corrects what the base makes of
    the plain one, w_{t+1} = w_t + u_t + o (u_t - u_{t-1}), and is optimistic Adam with an Adam base (Daskalakis et al.
    2018). Both are the same with SGD. The first step is the base's own: w_{-1} = w_0.

    Attributes:
        of: what is corrected.
        optimism: o, how much of the last change is expected to come again.
    """

    of: Literal["gradient", "update"] = "gradient"
    optimism: fields.NonNegative = 1.0
    _past: Remembered = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        gradients = oracle(game, oracle.draw(), players, moves_buffers=True)
        if self.of == "gradient":
            self._correct(gradients, remembered(gradients))
            optimizers.apply(game, gradients)
        else:
            start = game.point(gradients)
            optimizers.apply(game, gradients)
            updates: Remembered = {name: [*weights] for name, weights in game.point(gradients).items()}
            for name, update in updates.items():
                add_(update, start[name], -1.0)
            self._correct({name: list(game.parameters(name)) for name in updates}, updates)
            game.project(updates)
        return StepInfo(gradients.losses)

    def _correct(self, target: Mapping[str, list[Tensor | None]], now: Remembered) -> None:
        """target += o (v_t - v_{t-1}), and v_t is remembered."""
        for name, tensors in target.items():
            if (past := self._past.get(name)) is not None:
                add_(tensors, now[name], self.optimism)
                add_(tensors, past, -self.optimism)
        self._past.update(now)

    def state_dict(self) -> dict[str, Any]:
        return {"past": dict(self._past)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._past = copied(state["past"])
