"""Images, series or points in an array file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from manypaths import fields
from manypaths.data.array_layout import ArrayKind, Channels, Layout, layout_of
from manypaths.data.array_range import range_of
from manypaths.data.arrays import StoredArray, chosen, stored_arrays
from manypaths.data.base import Data
from manypaths.data.splits import HashedSplits
from manypaths.data.stored import RESIDENT_BYTES, About, Images, stamp
from manypaths.errors import InvalidValue
from manypaths.sources.labels import class_labels
from manypaths.sources.pixels import Range, scaled


@dataclass(frozen=True, kw_only=True)
class Array(HashedSplits):
    """An array or a tensor in a file: .npy, .npz, .pt or .safetensors; images, series or points of numbers.

    Images are (N, H, W), (N, C, H, W) or (N, H, W, C) with one or three channels; uint8 is kept, other numbers are
    scaled to uint8 from their ``range``. Series are (N, C, L) and points (N, d), a table's rows for instance; both
    become floats as they are. What an array was taken for is said in ``Data.notes``.

    Attributes:
        path: the file.
        images: name of the array in a file that holds several.
        labels: name of the labels, (N,) class indices or text, in the same file; beside an .npy, the path of another.
        kind: ``"images"``, ``"series"`` or ``"points"``; none takes what the shape and the dtype leave no doubt about.
        channels: where the channels of images stand; none finds the axis of length 1 or 3.
        range: what black and white are in images; none finds it in the dtype and the values, if they leave no doubt.
        resident_bytes: above so many bytes the images are mapped from a file.
    """

    path: str
    images: str | None = None
    labels: str | None = None
    kind: ArrayKind | None = None
    channels: Channels | None = None
    range: Range | None = None
    resident_bytes: fields.NonNegativeInt = RESIDENT_BYTES

    def load(self) -> Data:
        path = Path(self.path).expanduser()
        arrays = stored_arrays(path)
        real = chosen({k: v for k, v in arrays.items() if k != self.labels or not self.labels}, self.images, path)
        layout = layout_of(real, self.kind, self.channels)
        labels, said = self._labels(arrays, path, len(real))
        rows = self.rows(len(real))
        if layout.kind == "images":
            data = ArrayImages(real, path, layout, labels, self.images, self.range, self.resident_bytes).take(rows)
        else:
            if self.range is not None:
                raise InvalidValue(f"range is {self.range} and {real.where} holds {layout.kind}: expected none")
            data = Data(_floats(real)[rows].contiguous(), None if labels is None else labels[rows])
        return dataclasses.replace(data, notes=(layout.note(real), *said, *data.notes))

    def _labels(self, arrays: dict[str, StoredArray], path: Path, count: int) -> tuple[Tensor | None, tuple[str, ...]]:
        if self.labels is None:
            return None, ()
        where = Path(self.labels).expanduser() if path.suffix == ".npy" else path
        name = "" if path.suffix == ".npy" else self.labels
        found = chosen(stored_arrays(where) if path.suffix == ".npy" else arrays, name, where)
        return class_labels(found.everything(), count, str(where))


class ArrayImages(Images):
    """Images in one array."""

    def __init__(
        self,
        array: StoredArray,
        path: Path,
        layout: Layout,
        labels: Tensor | None = None,
        key: str | None = None,
        range: Range | None = None,
        resident_bytes: int = RESIDENT_BYTES,
    ):
        self.name, self.labels, self.resident_bytes = path.stem, labels, resident_bytes
        self.array, self.layout, self.range = array, layout, range
        self.made_of = [str(path.resolve()), stamp(path), key, layout.channels == "last"]
        if array.dtype != "uint8" or range is not None:
            self.made_of += [array.dtype, range]

    def __len__(self) -> int:
        return len(self.array)

    def about(self, rows: Tensor) -> About:
        """Of all rows, not of a split's: training and test images are scaled alike."""
        self.range = self.range or range_of(self.array)
        first = self.read(0, 1)
        low, high = self.range
        same = self.array.dtype == "uint8" and self.range == (0.0, 255.0)
        note = f"{self.array.where}: {low:g} .. {high:g} scaled to 0 .. 255, in whole steps (--set data.range=...)"
        return About((first.shape[1], first.shape[2], first.shape[3]), notes=() if same else (note,))

    def read(self, start: int, stop: int) -> Tensor:
        rows, (low, high) = self.array.read(start, stop), self.range or (0.0, 255.0)
        if rows.dtype != torch.uint8 or (low, high) != (0.0, 255.0):
            numbers = (rows.float() if rows.dtype == torch.bfloat16 else rows).numpy()
            rows = torch.from_numpy(scaled(numbers, low, high, self.array.where))
        if self.layout.channels is None:
            return rows[:, None]
        return rows.permute(0, 3, 1, 2) if self.layout.channels == "last" else rows


def _floats(array: StoredArray) -> Tensor:
    numbers = array.all().to(torch.get_default_dtype())
    if not numbers.isfinite().all():
        wrong = int((~numbers.isfinite()).sum())
        raise InvalidValue(f"{array.where} holds {wrong:,} numbers that are not finite: expected none; take them out")
    return numbers
