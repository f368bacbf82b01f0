"""Alternating-extrapolation gradient play, Alex-GDA (Lee, Cho and Yun 2024)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Remembered, Rule, StepInfo
from manypaths.vectors import add_, copied, scale_


@dataclass(eq=False)
class AlternatingExtrapolation(Rule):
    """x_{k+1} = x_k - eta F_x(x_k, y'_k),  x'_{k+1} = x_{k+1} + (c - 1) (x_{k+1} - x_k), then y against x'_{k+1}.

    Alex-GDA (Lee, Cho and Yun 2024): the players move in turn, each from its own weights against the extrapolations
    of the others, with y'_0 = y_0. One gradient of each player and, as in ``Alternating``, one sample per turn. c = 1
    is alternating play (and c = 0 for the first player alone simultaneous play); with c > 1 it converges on bilinear
    games, where both fail. The players move in the order of ``game.players``, any number of them; another order is
    ``Alternating(order, AlternatingExtrapolation())``.

    What is remembered is x' - x, so that an extrapolation goes along when the iterate jumps.

    Attributes:
        extrapolation: c, of every player or by player (gamma and delta of the paper).
    """

    extrapolation: fields.NonNegative | Mapping[str, fields.NonNegative] = 2.0
    _ahead: Remembered = field(default_factory=dict, init=False, repr=False)

    extrapolates: ClassVar[bool] = True  # type: ignore[override]

    def __post_init__(self) -> None:
        fields.check(self)

    def check(self, game: Game, oracle: Oracle, optimizers: Optimizers) -> None:
        if isinstance(self.extrapolation, Mapping) and set(game.names(self.extrapolation)) != set(game.players):
            given = sorted(self.extrapolation)
            raise InvalidValue(f"extrapolation is for {given}: expected a number for each of {sorted(game.players)}")

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names, losses = game.names(players), {}
        for name in names:
            losses.update(self._turn(game, oracle, optimizers, name, moves_buffers=name == names[0]).losses)
        return StepInfo(losses)

    def _turn(self, game: Game, oracle: Oracle, optimizers: Optimizers, name: str, *, moves_buffers: bool) -> StepInfo:
        others = [other for other in game.players if other != name and other in self._ahead]
        here = game.point([name, *others])
        for other in others:
            add_(list(game.parameters(other)), self._ahead[other])
        game.project(others)
        gradients = oracle(game, oracle.draw(), (name,), moves_buffers=moves_buffers)
        game.move_to(here, others)
        optimizers.apply(game, gradients)
        ahead: Remembered = {name: [*game.point((name,))[name]]}
        add_(ahead[name], here[name], -1.0)
        scale_(ahead[name], self._factor(name) - 1.0)
        self._ahead.update(ahead)
        return StepInfo(gradients.losses)

    def _factor(self, name: str) -> float:
        return self.extrapolation[name] if isinstance(self.extrapolation, Mapping) else self.extrapolation

    def state_dict(self) -> dict[str, Any]:
        return {"ahead": dict(self._ahead)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._ahead = copied(state["ahead"])
