"""Lookahead (Zhang et al. 2019), for games (Chavdarova et al. 2021): a combinator over any rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from torch import Tensor

from manypaths import fields
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Rule, StepInfo
from manypaths.vectors import copied, lerp_, replaced


@dataclass(eq=False)
class Lookahead(Rule):
    """s <- s + alpha (w - s),  w <- s after every k inner steps, for all players at once.

    The slow weights s begin at w_0 (Zhang et al. 2019; Lookahead-minmax, Chavdarova et al. 2021). One counter serves
    all players: each player going back on its own is another, unstable method. ``Lookahead(Lookahead(rule, k=5),
    k=5000)`` is the nested form, whose outer sync moves the inner slow weights too; a restart moves them likewise.
    The state of the optimisers is left as it is. A sync is a jump (``StepInfo.jumped``).

    Attributes:
        inner: the rule of the fast weights; alternating play goes here.
        k: inner steps between syncs.
        alpha: how far the slow weights follow the fast ones.
    """

    inner: Rule
    k: fields.PositiveInt = 5
    alpha: Annotated[float, fields.Bound(above=0, at_most=1)] = 0.5
    _slow: dict[str, list[Tensor]] | None = field(default=None, init=False, repr=False)
    _since: int = field(default=0, init=False, repr=False)

    joint_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        fields.check(self)

    def check(self, game: Game, oracle: Oracle, optimizers: Optimizers) -> None:
        self.inner.check(game, oracle, optimizers)

    def keeps_extrapolated(self) -> bool:
        return self.inner.keeps_extrapolated()

    @property
    def extrapolates(self) -> bool:  # type: ignore[override]
        return self.inner.extrapolates

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        self._all(game, players)
        if self._slow is None:
            self._slow = game.point()
        info = self.inner.step(game, oracle, optimizers)
        self._since += 1
        if self._since < self.k:
            return info
        for name, slow in self._slow.items():
            lerp_(game.parameters(name), slow, 1.0 - self.alpha)
        self._since = 0
        self.jumped(game)
        return dataclasses.replace(info, jumped=True)

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        """What the slow weights stand for has moved: they go along, and so do those of an inner lookahead."""
        here = game.point()
        if members is not None and self._slow is not None:
            here = {name: replaced(slow, here[name], members) for name, slow in self._slow.items()}
        self._slow = here
        self.inner.jumped(game, members)

    def state_dict(self) -> dict[str, Any]:
        return {"slow": self._slow, "since": self._since, "inner": self.inner.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._slow, self._since = copied(state["slow"]), state["since"]
        self.inner.load_state_dict(state["inner"])
