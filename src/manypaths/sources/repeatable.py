"""Whether the items of a data set are the same each time they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manypaths.errors import InvalidValue

READ_AGAIN = 16
"""Items that are read a second time: of mirror images by a fair coin one in 65,000 such data sets passes."""


def expect_repeatable(read: Callable[[int], Any], items: Sequence[Any], name: str) -> None:
    """Refuse a data set with random augmentation, whose first draw would be kept for good.

    Args:
        read: gives the item of a number.
        items: all of them, as read before.
        name: of the data set.
    """
    for i in dict.fromkeys(np.linspace(0, len(items) - 1, READ_AGAIN).astype(int).tolist()):
        if not _same(items[i], read(i)):
            raise InvalidValue(
                f"item {i} of {name} is another one when it is read again, and its first draw would be kept for good: "
                "expected a data set without random augmentation (flip=True mirrors), or "
                "LoaderSource(DataLoader(...), latent=...), which draws anew"
            )


def _same(first: Any, second: Any) -> bool:
    if first is second:
        return True
    if isinstance(first, (tuple, list)):
        return len(first) == len(second) and all(map(_same, first, second))
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, (Tensor, np.ndarray)):
        a, b = torch.as_tensor(first), torch.as_tensor(second)
        return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())  # a NaN is the same as another
    return bool(first == second)
