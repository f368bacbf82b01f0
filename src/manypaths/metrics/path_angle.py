"""The field along a straight line through two iterates (Berard et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.metrics.field_norm import mean_field
from manypaths.sources.sample import Sample
from manypaths.vectors import Point, dot

ALONG = tuple(i / 20 for i in range(31))


@dataclass(frozen=True)
class PathAngle:
    """Readings along w_alpha = w_start + alpha (w_end - w_start).

    Attributes:
        alphas: where they were taken; 0 is the start and 1 the end.
        cosine: cos of the angle between F(w_alpha) and w_end - w_start, NaN where F = 0. Gradient descent moves along
            -F: a switch of sign from -1 to 1 at the end is attraction, a bump is rotation.
        norm: ||F(w_alpha)||_2.
    """

    alphas: tuple[float, ...]
    cosine: tuple[float, ...]
    norm: tuple[float, ...]


def path_angle(
    game: Game,
    samples: Sample | Iterable[Sample],
    start: Point,
    end: Point,
    *,
    alphas: Sequence[float] = ALONG,
    players: Iterable[str] | None = None,
) -> PathAngle:
    """Measure the field from ``start`` to ``end`` and beyond, for the named players together (default: all).

    The points are as ``game.point()`` returns them, usually the initial and the last iterate; ``samples`` as for
    ``field_norm``. Weights, buffers and the source stay as they are, and no oracle counts it.
    """
    names = game.names(players)
    chunks = [samples] if isinstance(samples, Sample) else list(samples)
    direction = {name: [e - s for s, e in zip(start[name], end[name], strict=True)] for name in names}
    length = dot(direction, direction) ** 0.5
    if length == 0:
        raise InvalidValue("start and end are the same point: expected two, for the angle is to the line through them")
    cosines, norms = [], []
    for alpha in alphas:
        there = {n: [s + alpha * d for s, d in zip(start[n], direction[n], strict=True)] for n in names}
        with game.at(there):
            field = mean_field(game, chunks, names)
        norm = dot(field, field) ** 0.5
        cosines.append(dot(field, direction) / (norm * length) if norm else float("nan"))
        norms.append(norm)
    return PathAngle(tuple(alphas), tuple(cosines), tuple(norms))
