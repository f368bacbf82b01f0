"""STORM: momentum that is corrected at the previous point (Cutkosky and Orabona 2019), for games."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from manypaths import fields
from manypaths.games.base import Game
from manypaths.oracles.recursive import Previous, Recursive, combined
from manypaths.sources.base import Source
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients


@dataclass(eq=False)
class Storm(Recursive):
    """d_t = F_B(w_t) + (1 - a) (d_{t-1} - F_B(w_{t-1})): one batch at two consecutive points, no snapshot.

    Cutkosky and Orabona 2019. The correction is always of age 1, where F_B(w_t) and F_B(w_{t-1}) are most correlated.
    Begins with d_0 = F_B(w_0); from then on it costs two evaluations. Given the past it is biased by what it still has
    of the last error, E d_t - F(w_t) = (1 - a) (d_{t-1} - F(w_{t-1})), and over all draws not at all. The source may be
    infinite. What the previous point is under extragradient, in turns and after a jump: ``Recursive``.

    Args:
        momentum: a; 1 is the mini-batch.
        on_jump: forget the past (``"refresh"``), or correct across the jump.
    """

    source: Source
    batch: fields.PositiveInt = 64
    momentum: fields.Probability = 0.1
    on_jump: Literal["refresh", "keep"] = "refresh"

    serves_populations: ClassVar[bool] = True

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()

    def draw(self) -> Sample:
        self.advance()
        return self.source.sample(self.batch)

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        return self.estimate(game, sample, game.names(players), moves_buffers)

    def corrected(self, now: list[Tensor | None], then: list[Tensor | None], past: Previous) -> list[Tensor | None]:
        keep = 1.0 - self.momentum
        return combined((1.0, now), (keep, past.vector), (-keep, then))
