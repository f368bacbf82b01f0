"""What only some games can do, and what stands in its place for the others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from torch import Tensor

from manypaths.games.base import Game
from manypaths.vectors import Gradients, Point


class ClosedForm(Game):
    """A game that may know its field over the whole finite sum, or the difference of two points, in closed form."""

    @abstractmethod
    def full_gradients(self, names: tuple[str, ...]) -> tuple[Gradients, int] | None:
        """The field of the whole finite sum and its number of component functions; ``None`` where it takes a pass."""

    @abstractmethod
    def difference_gradients(self, sample: Any, point: Point, names: tuple[str, ...]) -> Gradients | None:
        """F(w; sample) - F(point; sample); ``None`` where it takes two evaluations."""


class Shared(Game):
    """A game whose evaluation many processes share; sums of several evaluations are then reduced once."""

    @abstractmethod
    def partial_gradients(
        self, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        """What this process contributes to F(w; sample)."""

    @abstractmethod
    def combine(self, part: Gradients) -> Gradients:
        """The mean over the processes of their parts, in place."""


class Stacked(Game):
    """A stack of games, the members, each with coins of its own."""

    seeds: tuple[int, ...]
    """The members' seeds."""

    @abstractmethod
    def subset(self, members: Tensor) -> Stacked:
        """The ``members`` (a mask) as a stack of their own, with copies of their weights."""


def seeds_of(game: Game) -> tuple[int, ...] | None:
    """The members' seeds of a stack of games; ``None`` for a game alone."""
    return game.seeds if isinstance(game, Stacked) else None


def full_gradients(game: Game, names: tuple[str, ...]) -> tuple[Gradients, int] | None:
    return game.full_gradients(names) if isinstance(game, ClosedForm) else None


def difference_gradients(game: Game, sample: Any, point: Point, names: tuple[str, ...]) -> Gradients | None:
    return game.difference_gradients(sample, point, names) if isinstance(game, ClosedForm) else None


def partial_gradients(
    game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
) -> Gradients:
    """This process's part of F(w; sample), all of it for a game of one process; ``combine`` makes it F(w; sample)."""
    evaluate = game.partial_gradients if isinstance(game, Shared) else game.gradients
    return evaluate(sample, players, moves_buffers=moves_buffers)


def combine(game: Game, part: Gradients) -> Gradients:
    return game.combine(part) if isinstance(game, Shared) else part
