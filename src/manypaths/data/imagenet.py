"""Downsampled ImageNet."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.data.arrays import StoredArray, chosen, stored_arrays
from manypaths.data.base import class_indices, data_directory, missing
from manypaths.data.splits import OfficialSplits
from manypaths.data.stored import RESIDENT_BYTES, About, Images, stamp
from manypaths.errors import InvalidValue

_ORIGIN = "the npz archives 'ImageNet downsampled', https://image-net.org/download-images, after signing in"
_BATCHES = 10


@dataclass(frozen=True, kw_only=True)
class ImageNet(OfficialSplits):
    """1,281,167 training images of 1,000 classes, downsampled to 32x32 or 64x64 (Chrabaszcz et al. 2017).

    ``test`` is the official validation part, 50,000 images: the labels of ImageNet's own test part are not public.

    Read from ``<data directory>/imagenet32/`` (or ``imagenet64``): the npz files ``train_data_batch_1.npz`` to ``_10``
    and ``val_data.npz``, each with ``data`` (N, 3 size^2) and ``labels`` 1 to 1000, which become 0 to 999. The archives
    of pickles are not read: a pickle is a program.

    Attributes:
        size: side of the images.
        resident_bytes: above so many bytes the images are mapped from a file: 64x64 takes 14.7 GiB, 32x32 3.7 GiB.
    """

    size: Literal[32, 64] = 32
    resident_bytes: fields.NonNegativeInt = RESIDENT_BYTES

    def part(self, name: Literal["train", "test"]) -> Images:
        folder = data_directory() / f"imagenet{self.size}"
        names = [f"train_data_batch_{i}.npz" for i in range(1, _BATCHES + 1)] if name == "train" else ["val_data.npz"]
        if absent := [n for n in names if not (folder / n).is_file()]:
            raise missing(f"ImageNet {self.size}x{self.size}", folder, ", ".join(absent), _ORIGIN)
        return NpzBatches([folder / n for n in names], self.size, self.resident_bytes)


class NpzBatches(Images):
    """Images in several npz files, one after the other."""

    def __init__(self, paths: list[Path], size: int, resident_bytes: int):
        self.name, self.size, self.resident_bytes = f"imagenet{size}", size, resident_bytes
        self.made_of = [[str(path.resolve()), stamp(path)] for path in paths]
        self.batches: list[StoredArray] = []
        labels = []
        for path in paths:
            arrays = stored_arrays(path)
            self.batches.append(chosen(arrays, "data", path))
            if self.batches[-1].shape[1:] != (3 * size * size,):
                raise InvalidValue(
                    f"{path} has data of shape {self.batches[-1].shape}: expected (N, {3 * size * size})"
                )
            labels.append(class_indices(chosen(arrays, "labels", path).all().to(torch.int64) - 1, 1000, path))
            if len(labels[-1]) != len(self.batches[-1]):
                raise InvalidValue(f"{path} has {len(labels[-1])} labels and {len(self.batches[-1])} images")
        self.labels = torch.cat(labels)
        self.starts = [0, *accumulate(len(batch) for batch in self.batches)]

    def __len__(self) -> int:
        return self.starts[-1]

    def about(self, rows: Tensor) -> About:
        return About((3, self.size, self.size))

    def read(self, start: int, stop: int) -> Tensor:
        pieces = []
        while start < stop:
            i = bisect_right(self.starts, start) - 1
            end = min(stop, self.starts[i + 1])
            pieces.append(self.batches[i].read(start - self.starts[i], end - self.starts[i]))
            start = end
        return torch.cat(pieces).reshape(-1, 3, self.size, self.size)
