"""What is looked at once, when a game and a source meet."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.games.findings import Finding
from manypaths.games.noise import tensors_in
from manypaths.sources.base import Source
from manypaths.sources.finite import expect_finite
from manypaths.sources.paired import PairedSource
from manypaths.sources.sample import Sample

SEEN = 64
"""Data whose range is compared with the generator's."""


def first_look(game: Game, source: Source, batch: int) -> list[Finding]:
    """Refuse what does not fit or is not finite; likely mistakes otherwise. The source is where it was."""
    game = game.unwrapped
    if not game.looks:
        return []
    sample = first_sample(source, batch)
    for tensor in tensors_in(sample):
        if tensor.ndim:
            expect_finite(tensor, f"the samples of {type(source).__name__}")
    return game.check(sample, declared=isinstance(source, PairedSource) and source.pixels == "unit")


def first_sample(source: Source, batch: int, *, at_most: int | None = None) -> Any:
    """A sample that is drawn again afterwards; a loader knows one batch size only."""
    with source.rewound():
        try:
            sample = source.sample(max(batch, SEEN))
        except InvalidValue:
            sample = source.sample(batch)
    return sample[:at_most] if at_most is not None and isinstance(sample, (Sample, Tensor)) else sample
