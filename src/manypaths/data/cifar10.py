"""CIFAR-10, from the official binary files or from the hub's parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch

from manypaths.data.base import Data, class_indices, data_directory, missing
from manypaths.data.net_spec import NetRecipe, NetSpec
from manypaths.data.parquet import ParquetPictures, parquet_files
from manypaths.data.pictures import Framing, opened
from manypaths.data.splits import OfficialPart, OfficialSplits
from manypaths.errors import InvalidValue

RECORDS = 10_000  # in each of the binary files
_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz, unpacked"
_BINARY = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
_BYTES = 1 + 3 * 32 * 32


@dataclass(frozen=True, kw_only=True)
class Cifar10(OfficialSplits):
    """50,000 training and 10,000 test images of ten classes, 32x32 in colour (Krizhevsky 2009).

    Read from ``<data directory>/cifar10/``, there or in a folder inside it: the official binary files
    ``data_batch_1.bin`` to ``_5`` and ``test_batch.bin``, or, where these are not, the hub's ``train-*.parquet`` and
    ``test-*.parquet`` with the columns ``img`` and ``label``. The official Python version is not read: a pickle is a
    program. Parquet files whose images went through JPEG are not the original pixels; the data then carry a note.

    Attributes:
        split: which images; ``"valid"`` is cut off the training part.
        held_out: how many of the last training images are ``"valid"`` and not ``"train"``.
        limit: keep only the first images of the split.
    """

    nets: ClassVar[Mapping[str, NetSpec]] = {"cifar-cnn": NetSpec("CifarCnn", NetRecipe(epochs=10, at_least=0.80))}

    def part(self, name: Literal["train", "test"]) -> OfficialPart:
        folder = data_directory() / "cifar10"
        binary = [_found(folder, file) for file in _BINARY[name]]
        if present := [path for path in binary if path is not None]:
            if len(present) < len(binary):
                absent = _BINARY[name][binary.index(None)]
                raise missing("CIFAR-10", folder, f"{absent} beside {present[0].name}", _ORIGIN)
            return _binary(present)
        if files := parquet_files(folder, name):
            return Cifar10Parquet(files)
        raise missing("CIFAR-10", folder, f"{', '.join(_BINARY[name])}, or {name}-*.parquet of the hub", _ORIGIN)


class Cifar10Parquet(ParquetPictures):
    """CIFAR-10 as encoded pictures; when these are JPEGs, the pixels are not the original ones."""

    exact = ("colour", (32, 32))

    def __init__(self, files: list[Path]):
        super().__init__("cifar10", files, image="img", label="label", framing=Framing(mode="colour"))
        assert self.labels is not None
        self.labels = class_indices(self.labels, 10, files[0])

    def note(self) -> str:
        with opened(self.items(0, 1)[0]) as image:
            jpeg = image.format == "JPEG"
        text = "these CIFAR-10 images went through JPEG: distances to them do not compare with published ones"
        return text if jpeg else ""


def _found(folder: Path, name: str) -> Path | None:
    return next((path for path in [folder / name, *sorted(folder.glob(f"*/{name}"))] if path.is_file()), None)


def _binary(paths: list[Path]) -> Data:
    """Records of one label byte and 3,072 bytes of pixels, red, green, blue, row by row."""
    for path in paths:
        if (size := path.stat().st_size) != RECORDS * _BYTES:
            raise InvalidValue(
                f"{path} has {size:,} bytes: expected {RECORDS * _BYTES:,} ({RECORDS:,} records of {_BYTES:,})"
            )
    records = torch.from_numpy(np.concatenate([np.fromfile(path, dtype=np.uint8) for path in paths])).reshape(
        -1, _BYTES
    )
    labels = class_indices(records[:, 0], 10, paths[0].parent)
    return Data(records[:, 1:].reshape(-1, 3, 32, 32).contiguous(), labels)
