"""A finite sum cut into mini-batches, which are then its component functions."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

from torch import Tensor

from manypaths.sources.base import Source
from manypaths.sources.sample import Sample


class Partition:
    """The source's fixed partition into mini-batches of ``batch`` samples, as long as nothing is drawn anew.

    The samples left over when the size is no multiple of ``batch`` are in no mini-batch.
    """

    def __init__(self, source: Source, batch: int):
        self.source, self.batch = source, batch
        self._parts: list[Tensor] | None = None
        self._taken: WeakValueDictionary[int, Any] = WeakValueDictionary()
        """Mini-batches that someone still holds, by their number."""

    def __len__(self) -> int:
        """Mini-batches in one pass; 1 where there is not even one whole."""
        return max(1, (self.source.size or 0) // self.batch)

    def parts(self) -> list[Tensor]:
        """The mini-batches as index sets."""
        if self._parts is None:
            self._parts = self.source.partition(self.batch)
        return self._parts

    def take(self, number: int) -> Sample:
        """One mini-batch; one that someone still holds is the same object."""
        sample = self._taken.get(number)
        if sample is None:
            sample = self._taken[number] = self.source.take(self.parts()[number])
        return sample

    def number(self, sample: Any, below: int) -> int | None:
        """The number, less than ``below``, of a mini-batch that was taken from here; ``None`` of any other sample."""
        return next((number for number, taken in self._taken.items() if taken is sample and number < below), None)

    def forget(self) -> None:
        """It may be another partition from now on: the source has drawn its frozen randomness anew."""
        self._parts = None
        self._taken.clear()
