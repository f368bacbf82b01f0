"""The contract of a data set, and where data live."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from manypaths.data.net_spec import NetSpec
from manypaths.errors import InvalidValue, MissingData

DATA_VARIABLE = "MANYPATHS_DATA"
BLOCK = 1024
"""Images that are read, decoded or hashed at a time."""


@dataclass(frozen=True)
class Data:
    """Images (N, C, H, W) in uint8, or points (N, d) in float, with labels (N,) or ``None``.

    Attributes:
        note: what must be said beside any number made with these images, or nothing.
        fingerprint: the checksum, where reading the data has found it already.
        notes: what reading decided on the user's behalf, a line each: what was scaled, turned or passed over.
    """

    real: Tensor
    labels: Tensor | None = None
    note: str = ""
    fingerprint: str | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.real)

    def checksum(self) -> str:
        """A short fingerprint of the contents, computed once."""
        return self.fingerprint or self._checksum

    @cached_property
    def _checksum(self) -> str:
        digest = Digest()
        for block in self.real.split(BLOCK):
            digest.update(block)
        return digest.text()

    def take(self, rows: slice | Tensor) -> Data:
        """Some of the rows: a view for a slice, a copy for indices."""
        labels = None if self.labels is None else self.labels[rows]
        return Data(self.real[rows], labels, self.note, notes=self.notes)


class Digest:
    """The checksum of images that come block by block."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def update(self, block: Tensor) -> None:
        self._sha.update(block.contiguous().numpy().tobytes())

    def text(self) -> str:
        return self._sha.hexdigest()[:16]


class DataSet(ABC):
    """A data set by name; a dataclass of its settings. Nothing is read before ``load``."""

    nets: ClassVar[Mapping[str, NetSpec]] = {}
    """Feature nets that are trained on it, by name; the first one is what scores read by default."""

    @abstractmethod
    def load(self) -> Data:
        """Read everything into memory (or map it), checked; ``MissingData`` when it is nowhere to be had."""

    def reference(self) -> DataSet:
        """The images that scores compare with: held out where the data set holds some out."""
        return self

    def validation(self) -> DataSet:
        """Images that neither training nor ``reference`` sees, for a metric to fit; an error where there are none."""
        raise InvalidValue(f"{type(self).__name__} has no validation images: expected a data set with a split 'valid'")


def data_directory() -> Path:
    """``$MANYPATHS_DATA``, or ``~/.cache/manypaths``."""
    return Path(os.environ.get(DATA_VARIABLE) or Path.home() / ".cache" / "manypaths").expanduser()


def missing(name: str, folder: Path, expected: str, origin: str) -> MissingData:
    """The error for a data set that is not on disk: what is expected where, and where to get it."""
    return MissingData(
        f"{name} is not in {folder}: expected {expected} ({origin}); put it there, or name the directory above it with "
        f"--data-dir or {DATA_VARIABLE}"
    )


def class_indices(labels: Tensor, classes: int, where: object) -> Tensor:
    """``labels`` as int64 of shape (N,), each in 0 .. classes - 1."""
    labels = labels.flatten().to(torch.int64)
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise InvalidValue(
            f"{where} has labels from {int(labels.min())} to {int(labels.max())}: expected 0 to {classes - 1}"
        )
    return labels
