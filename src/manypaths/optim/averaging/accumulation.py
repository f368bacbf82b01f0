"""Running means in a wider dtype than that of what they average."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from manypaths.vectors import lerp_

AT_ONCE = 1 << 17
"""Numbers that are widened together, so that they are still in the cache when they are read again."""


def accumulator(tensor: Tensor) -> Tensor:
    """A copy in float64 (complex128), where the device has it, else in float32.

    A mean of T points moves by 1/T of a difference. In float32 that is lost in rounding from some 10,000 points on, in
    bfloat16 from 100 on.
    """
    wide = torch.promote_types(tensor.dtype, torch.float32 if tensor.device.type == "mps" else torch.float64)
    return tensor.detach().to(wide, copy=True)


@torch.no_grad()
def accumulate_(means: Sequence[Tensor], newest: Sequence[Tensor], weight: float | Tensor) -> None:
    """``mean += weight * (newest - mean)``, in the dtype of the means; a tensor (m,) is one weight per row."""
    narrow: list[tuple[Tensor, Tensor]] = []
    for mean, new in zip(means, newest, strict=True):
        if isinstance(weight, float) and _in_pieces(mean, new):
            _lerp_in_pieces(mean.view(-1), new.detach().view(-1), weight)
        else:
            narrow.append((mean, new.detach().to(mean.dtype)))
    lerp_([mean for mean, _ in narrow], [new for _, new in narrow], weight)


def _in_pieces(mean: Tensor, new: Tensor) -> bool:
    """Whether widening all of it at once would leave the cache."""
    large = mean.dtype != new.dtype and mean.device.type == "cpu" and mean.numel() > AT_ONCE
    return large and mean.is_contiguous() and new.is_contiguous()


def _lerp_in_pieces(mean: Tensor, new: Tensor, weight: float) -> None:
    place = torch.empty(AT_ONCE, dtype=mean.dtype)
    for part, end in zip(mean.split(AT_ONCE), new.split(AT_ONCE), strict=True):
        part.lerp_(place[: len(end)].copy_(end), weight)
