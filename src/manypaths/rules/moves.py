"""Parts of moves that several rules share."""

from __future__ import annotations

from torch import Tensor

from manypaths.games.base import Game
from manypaths.vectors import Point, Vector, add_, lerp_


def stretch(game: Game, start: Point, factor: float) -> None:
    """From w' to w + c (w' - w), for the players of ``start``, which is w; w' is where the base's own step led."""
    for name, weights in start.items():
        lerp_(game.parameters(name), weights, 1.0 - factor)
    game.project(start)


def shift(game: Game, vector: Vector, scale: float = 1.0) -> None:
    """w + scale v, for the players of v."""
    for name, tensors in vector.items():
        add_(list(game.parameters(name)), tensors, scale)
    game.project(vector)


def moved(game: Game, start: Point) -> dict[str, list[Tensor | None]]:
    """w - start, for the players of ``start``."""
    found: dict[str, list[Tensor | None]] = {name: [*weights] for name, weights in game.point(start).items()}
    for name, vector in found.items():
        add_(vector, start[name], -1.0)
    return found
