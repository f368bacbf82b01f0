"""Alternating play, a combinator over any rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Rule, StepInfo
from manypaths.rules.simultaneous import Simultaneous


@dataclass(frozen=True)
class Alternating(Rule):
    """One player after the other, each against what the others have become.

    ``Alternating(("critic",) * 5 + ("generator",))`` is the usual 5:1 GAN. One step is one walk through ``order``,
    with a fresh sample at every stop.
    """

    order: tuple[str, ...]
    inner: Rule = Simultaneous()

    def __post_init__(self) -> None:
        fields.check(self)
        if not self.order:
            raise InvalidValue("Alternating.order is empty: expected the players' names in the order of their moves")
        if self.inner.joint_only:
            raise InvalidType(
                f"{type(self.inner).__name__} moves all players at once: put it around Alternating, not inside"
            )

    def check(self, game: Game, oracle: Oracle, optimizers: Optimizers) -> None:
        order = game.names(self.order)
        if left_out := [name for name in game.players if name not in order]:
            raise InvalidValue(f"Alternating.order is {self.order}: {', '.join(left_out)} would never move")
        self.inner.check(game, oracle, optimizers)

    @property
    def extrapolates(self) -> bool:  # type: ignore[override]
        return self.inner.extrapolates

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        wanted = set(game.names(players))
        losses, jumped = {}, False
        for name in game.names(self.order):
            if name in wanted:
                info = self.inner.step(game, oracle, optimizers, (name,))
                losses[name] = info.losses[name]
                jumped = jumped or info.jumped
        return StepInfo(losses, jumped)

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        self.inner.jumped(game, members)

    def state_dict(self) -> dict[str, Any]:
        return self.inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner.load_state_dict(state)
