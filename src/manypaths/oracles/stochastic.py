"""The mini-batch oracle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from manypaths import fields
from manypaths.games.base import Game
from manypaths.oracles.base import Oracle
from manypaths.sources.base import Source
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients


@dataclass(eq=False)
class Stochastic(Oracle):
    """F_B(w), the field on a mini-batch B: one evaluation per call."""

    serves_populations: ClassVar[bool] = True

    source: Source
    batch: fields.PositiveInt = 64

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()

    def draw(self) -> Sample:
        self.draws += 1
        return self.source.sample(self.batch)

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        gradients = game.gradients(sample, players, moves_buffers=moves_buffers)
        self.count(gradients, len(sample))
        return gradients
