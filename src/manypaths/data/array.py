"""Images or points in an array file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.data.arrays import StoredArray, chosen, stored_arrays
from manypaths.data.base import Data
from manypaths.data.splits import HashedSplits
from manypaths.data.stored import RESIDENT_BYTES, About, Images, stamp
from manypaths.errors import InvalidType, InvalidValue

Channels = Literal["first", "last"]


@dataclass(frozen=True, kw_only=True)
class Array(HashedSplits):
    """An array or a tensor in a file: .npy, .npz, .pt or .safetensors; uint8 images, or points (N, d) in float.

    Images are (N, H, W), (N, C, H, W) or (N, H, W, C) with one or three channels.

    Attributes:
        path: the file.
        images: name of the array in a file that holds several.
        labels: name of the labels, (N,) class indices, in the same file; beside an .npy, the path of another one.
        channels: where the channels stand; none finds the axis of length 1 or 3.
        resident_bytes: above so many bytes the images are mapped from a file.
    """

    path: str
    images: str | None = None
    labels: str | None = None
    channels: Channels | None = None
    resident_bytes: fields.NonNegativeInt = RESIDENT_BYTES

    def load(self) -> Data:
        path = Path(self.path).expanduser()
        arrays = stored_arrays(path)
        real = chosen({k: v for k, v in arrays.items() if k != self.labels or not self.labels}, self.images, path)
        labels = self._labels(arrays, path, len(real))
        rows = self.rows(len(real))
        if len(real.shape) == 2:
            return Data(_points(real.all(), path)[rows].contiguous(), None if labels is None else labels[rows])
        return ArrayImages(real, path, labels, self.channels, self.images, self.resident_bytes).take(rows)

    def _labels(self, arrays: dict[str, StoredArray], path: Path, count: int) -> Tensor | None:
        if self.labels is None:
            return None
        where = Path(self.labels).expanduser() if path.suffix == ".npy" else path
        name = "" if path.suffix == ".npy" else self.labels
        found = chosen(stored_arrays(where) if path.suffix == ".npy" else arrays, name, where).all()
        if found.is_floating_point() or found.numel() != count or (count and int(found.min()) < 0):
            raise InvalidValue(
                f"{where}: the labels are {found.dtype} of shape {tuple(found.shape)}: expected {count} class indices "
                ">= 0"
            )
        return found.flatten().to(torch.int64)


class ArrayImages(Images):
    """Images in one array."""

    def __init__(
        self,
        array: StoredArray,
        path: Path,
        labels: Tensor | None = None,
        channels: Channels | None = None,
        key: str | None = None,
        resident_bytes: int = RESIDENT_BYTES,
    ):
        self.name, self.labels, self.resident_bytes = path.stem, labels, resident_bytes
        self.array, self.path = array, path
        self.last = _channels_last(array.shape, channels, path)
        self.made_of = [str(path.resolve()), stamp(path), key, self.last]

    def __len__(self) -> int:
        return len(self.array)

    def about(self, rows: Tensor) -> About:
        first = self.read(0, 1)
        return About((first.shape[1], first.shape[2], first.shape[3]))

    def read(self, start: int, stop: int) -> Tensor:
        rows = self.array.read(start, stop)
        if rows.dtype != torch.uint8:
            raise InvalidType(
                f"{self.path} holds {rows.dtype} of shape {self.array.shape}: expected uint8 images, 0 to 255"
            )
        if rows.ndim == 3:
            return rows[:, None]
        return rows.permute(0, 3, 1, 2) if self.last else rows


def _channels_last(shape: tuple[int, ...], channels: Channels | None, path: Path) -> bool:
    if len(shape) == 3:
        return False
    if len(shape) != 4:
        raise InvalidValue(f"{path} has shape {shape}: expected (N, H, W), (N, C, H, W), (N, H, W, C) or points (N, d)")
    fits = {"first": shape[1] in (1, 3), "last": shape[3] in (1, 3)}
    wanted = [name for name, fit in fits.items() if fit and channels in (None, name)]
    if len(wanted) != 1:
        what = "set channels to 'first' or 'last'" if wanted else "expected one or three channels"
        raise InvalidValue(f"{path} has shape {shape}: {what} (--set data.channels=last)")
    return wanted == ["last"]


def _points(points: Tensor, path: Path) -> Tensor:
    if not points.is_floating_point():
        raise InvalidType(
            f"{path} holds {points.dtype} of shape {tuple(points.shape)}: expected points (N, d) in float"
        )
    return points.to(torch.get_default_dtype())
