"""All items of a torch ``Dataset`` as one tensor."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset

from manypaths.errors import InvalidType, InvalidValue
from manypaths.sources.eight_bits import eight_bits
from manypaths.sources.items import Key, entries
from manypaths.sources.labels import class_labels, integer_labels
from manypaths.sources.numbers import numbers
from manypaths.sources.repeatable import expect_repeatable


class Stacked(NamedTuple):
    """Data (N, ...), labels (N, ...) or ``None``, and what stacking decided, in words."""

    real: Tensor
    labels: Tensor | None
    notes: tuple[str, ...] = ()


def stack_dataset(dataset: Any, *, image: Key | None = None, label: Key | None = None) -> Stacked:
    """All items as one tensor, and the labels where items are (image, label) pairs or their key is named.

    Items are tensors, NumPy arrays (kept in their layout) or pictures of Pillow's, which become uint8 (C, H, W). A
    tensor or an array is taken as the stack. Items are read once, so random augmentation is refused.
    """
    name = type(dataset.dataset if isinstance(dataset, Subset) else dataset).__name__
    if isinstance(dataset, (Tensor, np.ndarray)):
        if image is not None or label is not None:
            raise InvalidType(f"the data are one {name}, without entries: expected neither image nor label")
        return Stacked(numbers(dataset, "the array"), None)
    if not hasattr(dataset, "__len__"):
        raise InvalidType(f"{name} has no length: from_dataset needs a map-style dataset")
    if len(dataset) < 1:
        raise InvalidValue(f"{name} is empty: expected at least one item")
    read = lambda i: entries(dataset[i], image, label, f"items of {name}")  # noqa: E731
    items = [read(i) for i in range(len(dataset))]
    expect_repeatable(read, items, name)
    data = [_as_tensor(item, f"item {i} of {name}") for i, (item, _) in enumerate(items)]
    if len({d.shape for d in data}) > 1:
        raise InvalidValue("items differ in shape: expected one shape (resize them in the data set's transform)")
    if len({d.dtype for d in data}) > 1:
        kinds = ", ".join(sorted({str(d.dtype) for d in data}))
        raise InvalidType(f"items differ in dtype, {kinds}: expected one (convert them in the data set's transform)")
    labels, notes = _labels([item for _, item in items], label is not None, name)
    return Stacked(torch.stack(data), labels, notes)


def _labels(found: list[Any], asked: bool, name: str) -> tuple[Tensor | None, tuple[str, ...]]:
    """Text becomes class indices; what is no number is left out, or refused where it was asked for by name."""
    if all(value is None for value in found) and not asked:
        return None, ()
    if all(isinstance(value, str) for value in found):
        return class_labels(found, len(found), name)
    if all(_is_number(value) for value in found):
        tensors = [torch.as_tensor(value) for value in found]
        if len({t.shape for t in tensors}) == 1:
            return integer_labels(torch.stack(tensors)), ()
    kinds = ", ".join(sorted({type(value).__name__ for value in found}))
    if asked:
        raise InvalidType(f"the labels of {name} are {kinds}: expected class indices or text, one per item")
    return None, (f"{name}: the second entries of its items are {kinds} and no class indices, and are left out",)


def _is_number(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return isinstance(value, (Tensor, int, float, np.number, np.bool_))


def _as_tensor(item: Any, where: str) -> Tensor:
    if isinstance(item, (Tensor, np.ndarray)):
        return numbers(item, where)
    if hasattr(item, "getbands"):  # a picture, without importing Pillow
        pixels = torch.from_numpy(np.array(eight_bits(item, where)))
        return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
    raise InvalidType(f"items are {type(item).__name__}: expected tensors (add a transform to the data set)")
