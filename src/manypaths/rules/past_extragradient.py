"""Past extragradient (Popov 1980)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from manypaths import fields
from manypaths.games.base import Game
from manypaths.optim.base import Moments, Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Remembered, Rule, StepInfo, remembered
from manypaths.vectors import Gradients, copied


@dataclass(eq=False)
class PastExtragradient(Rule):
    """w_{t+1/2} = w_t - eta F(w_{t-1/2}),  w_{t+1} = w_t - eta F(w_{t+1/2}): one gradient per step.

    Extragradient that extrapolates along the gradient it already has (Popov 1980; "extrapolation from the past" in
    Gidel et al. 2019). There is none before the first step, so w_{1/2} = w_0. The losses of a step are those at
    w_{t+1/2}, the only point that is evaluated.

    Attributes:
        moments: what the extrapolation does to the optimiser's state, as in ``Extragradient``.
        keep_extrapolated: announce w_{t+1/2} in ``StepInfo.extrapolated``, for averages that want it (one copy of the
            weights).
    """

    moments: Moments = "shared"
    keep_extrapolated: bool = False
    _past: Remembered = field(default_factory=dict, init=False, repr=False)

    extrapolates: ClassVar[bool] = True  # type: ignore[override]

    def __post_init__(self) -> None:
        fields.check(self)

    def keeps_extrapolated(self) -> bool:
        return self.keep_extrapolated

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names = game.names(players)
        past = remembered({name: self._past[name] for name in names if name in self._past})
        with game.swapped_aside(names):
            with optimizers.extrapolating(tuple(past), self.moments):
                optimizers.apply(game, Gradients(past, {}))
            extrapolated = game.point(names) if self.keep_extrapolated else None
            gradients = oracle(game, oracle.draw(), names, moves_buffers=True)
        self._past.update(remembered(gradients))
        optimizers.apply(game, gradients)
        return StepInfo(gradients.losses, extrapolated=extrapolated)

    def state_dict(self) -> dict[str, Any]:
        return {"past": dict(self._past)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._past = copied(state["past"])
