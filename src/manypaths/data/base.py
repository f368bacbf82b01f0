"""The contract of a data set, and where data live."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

DATA_VARIABLE = "MANYPATHS_DATA"


@dataclass(frozen=True)
class Data:
    """Images (N, C, H, W) in uint8, or points (N, d) in float, with labels (N,) or ``None``."""

    real: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.real)

    def checksum(self) -> str:
        """A short fingerprint of the contents."""
        digest = hashlib.sha256(self.real.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


class DataSet(ABC):
    """A data set by name; a dataclass of its settings. Nothing is read before ``load``."""

    @abstractmethod
    def load(self) -> Data:
        """Read everything into memory, checked; ``MissingData`` when it is neither on disk nor to be had."""

    def reference(self) -> DataSet:
        """The images that scores compare with: held out where the data set holds some out."""
        return self


def data_directory() -> Path:
    """``$MANYPATHS_DATA``, or ``~/.cache/manypaths``."""
    return Path(os.environ.get(DATA_VARIABLE) or Path.home() / ".cache" / "manypaths").expanduser()
