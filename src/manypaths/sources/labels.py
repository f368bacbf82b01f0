"""Class indices from labels as people store them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue

_SHOWN = 4


def class_labels(values: Any, count: int, where: str) -> tuple[Tensor, tuple[str, ...]]:
    """``count`` labels as int64 of shape (N,), and a line about what they were taken for, where that is no matter of
    course.

    Integers of any width and bools are class indices as they are; floats must be whole; the classes of text are its
    different words in alphabetical order.
    """
    array = np.asarray(values.cpu() if isinstance(values, Tensor) else values)
    if array.size != count or len([n for n in array.shape if n != 1]) > 1:
        hint = "; take the argmax of one-hot labels" if array.ndim == 2 and len(array) == count else ""
        raise _wrong(array, count, where, hint)
    array = array.reshape(count)
    if array.dtype.kind in "US" or (array.dtype.kind == "O" and all(isinstance(v, str) for v in array)):
        return _of_text(array, where)
    notes: tuple[str, ...] = ()
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and (array == np.rint(array)).all()):
            raise _wrong(array, count, where, ", whole numbers")
        notes = (f"{where}: labels in {array.dtype} are whole numbers and taken for class indices",)
    elif array.dtype.kind not in "biu":
        raise _wrong(array, count, where)
    found = torch.from_numpy(array.astype(np.int64))
    if count and int(found.min()) < 0:
        raise _wrong(array, count, where, f", and the least is {int(found.min())}")
    return found, notes


def integer_labels(labels: Tensor) -> Tensor:
    """Integers of any width, and bools, as int64, which embeddings and indexing take; floats are left alone."""
    if labels.is_floating_point() or labels.is_complex():
        return labels
    return labels.to(torch.int64)


def _of_text(array: np.ndarray, where: str) -> tuple[Tensor, tuple[str, ...]]:
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "backslashreplace")
    classes, index = np.unique(array.astype(str), return_inverse=True)
    shown = ", ".join(f"{name}={i}" for i, name in enumerate(classes[:_SHOWN]))
    note = f"{where}: labels are text, {len(classes):,} classes: {shown}{', ...' if classes[_SHOWN:].size else ''}"
    return torch.from_numpy(index.reshape(-1).astype(np.int64)), (note,)


def _wrong(array: np.ndarray, count: int, where: str, hint: str = "") -> InvalidValue | InvalidType:
    kind = InvalidType if array.dtype.kind not in "biuf" else InvalidValue
    return kind(
        f"{where}: the labels are {array.dtype} of shape {array.shape}: expected {count} class indices >= 0{hint}"
    )
