"""How a data set is cut into training, validation and test images that never mix."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from manypaths import fields
from manypaths.data.base import Data, DataSet
from manypaths.errors import InvalidValue
from manypaths.randomness import counter_uniform, seed_for

SplitName = Literal["train", "valid", "test"]


class OfficialPart(Protocol):
    """Images of which some rows can be had: ``Data`` in memory, or ``Images`` that are still on disk."""

    def __len__(self) -> int: ...

    def take(self, rows: slice | Tensor) -> Data: ...


def validation_rows(split: str, held_out: int, count: int) -> slice:
    """The rows of a training part of ``count`` images: all but the last ``held_out`` of them, or just these."""
    if held_out >= count:
        raise InvalidValue(f"held_out is {held_out}: expected fewer than the {count} images of the training part")
    return slice(count - held_out, count) if split == "valid" else slice(0, count - held_out)


def require_held_out(data: Any, held_out: int) -> None:
    """Refuse to speak of validation images where none are held out."""
    if not held_out:
        raise InvalidValue(
            f"{type(data).__name__} holds no images out for validation: set held_out, how many of the last training "
            "images to keep for it (--set data.held_out=5000)"
        )


@dataclass(frozen=True, kw_only=True)
class OfficialSplits(DataSet):
    """A data set that comes in a training and a test part.

    Attributes:
        split: which images; ``"valid"`` is cut off the training part.
        held_out: how many of the last images of the training part are ``"valid"`` and not ``"train"``.
        limit: keep only the first images of the split.
    """

    split: SplitName = "train"
    held_out: fields.NonNegativeInt = 0
    limit: fields.PositiveInt | None = None

    def __post_init__(self) -> None:
        fields.check(self)
        if self.split == "valid":
            require_held_out(self, self.held_out)

    def reference(self) -> DataSet:
        return dataclasses.replace(self, split="test", limit=None)

    def validation(self) -> DataSet:
        require_held_out(self, self.held_out)
        return dataclasses.replace(self, split="valid", limit=None)

    def load(self) -> Data:
        if self.split == "test":
            return self.part("test").take(slice(0, self.limit))
        part = self.part("train")
        rows = validation_rows(self.split, self.held_out, len(part))
        return part.take(
            slice(rows.start, rows.stop if self.limit is None else min(rows.stop, rows.start + self.limit))
        )

    @abstractmethod
    def part(self, name: Literal["train", "test"]) -> OfficialPart:
        """One of the two official parts."""


@dataclass(frozen=True, kw_only=True)
class HashedSplits(DataSet):
    """A data set without official parts: each image's part is a hash of its name or number.

    u = hash(name) in [0, 1): ``"test"`` where u < test, ``"valid"`` where test <= u < test + valid, else ``"train"``.
    So an image's part depends on no other image, and the shares are met on average only.

    Attributes:
        split: which images.
        valid, test: shares of the images.
        limit: keep only the first images of the split.
    """

    split: SplitName = "train"
    valid: fields.Fraction = 0.0
    test: fields.Fraction = 0.0
    limit: fields.PositiveInt | None = None

    def __post_init__(self) -> None:
        fields.check(self)
        if self.valid + self.test >= 1:
            raise InvalidValue(f"valid + test is {self.valid + self.test:g}: expected a share below 1")
        if self.split != "train" and not getattr(self, self.split):
            raise InvalidValue(f"split is {self.split!r} and {self.split} is 0: expected a share of the images > 0")

    def reference(self) -> DataSet:
        """The test images; all of the training images where no share is kept for a test."""
        return dataclasses.replace(self, split="test" if self.test else "train", limit=None)

    def validation(self) -> DataSet:
        if not self.valid:
            raise InvalidValue(
                f"{type(self).__name__} holds no images out for validation: set valid, the share of the images to keep "
                "for it (--set data.valid=0.1)"
            )
        return dataclasses.replace(self, split="valid", limit=None)

    def rows(self, names: Sequence[str] | int) -> Tensor:
        """The rows of the split among images of these names, or of the numbers 0 .. names - 1; at most ``limit``."""
        if isinstance(names, int):
            hashed = counter_uniform(torch.arange(names), (), "split", dtype=torch.float64)
        else:
            hashed = torch.tensor([seed_for(0, "split", name) for name in names], dtype=torch.float64) / 2.0**62
        low, high = {
            "test": (0.0, self.test),
            "valid": (self.test, self.test + self.valid),
            "train": (self.test + self.valid, 1.0),
        }[self.split]
        found = ((hashed >= low) & ((hashed < high) | (high == 1.0))).nonzero().flatten()
        if not len(found):
            raise InvalidValue(
                f"the split {self.split!r} holds none of {len(hashed)} images: expected larger shares, or more images"
            )
        return found[: self.limit]
