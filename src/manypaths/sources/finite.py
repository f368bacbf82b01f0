"""What numbers data hold: refused where they enter, before anything is trained on them."""

from __future__ import annotations

import torch
from torch import Tensor

from manypaths.errors import InvalidValue

BLOCK = 4096
"""Rows that are looked at together."""
_SOME = 256


def expect_finite(data: Tensor, what: str) -> None:
    """Refuse NaN and infinities: one of them makes every weight NaN in a single step."""
    if not (data.is_floating_point() or data.is_complex()):
        return
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        if bool(torch.isfinite(block.sum())):  # one pass, no mask; a sum may overflow, so the entries decide
            continue
        finite = torch.isfinite(block).reshape(len(block), -1).all(1)
        if not bool(finite.all()):
            first = int((~finite).nonzero()[0])
            kind = "NaN" if bool(torch.isnan(block[first]).any()) else "an infinite number"
            raise InvalidValue(
                f"{what} hold {kind} (row {start + first}): expected finite numbers; leave such rows out or mend them"
            )


def expect_eight_bits(images: Tensor, what: str) -> None:
    """Refuse uint8 images that hold 0 and 1 only: 255 is white, so that they are black all over."""
    if images.dtype != torch.uint8 or not len(images):
        return
    step = max(1, len(images) // _SOME)
    if int(images[::step][:_SOME].max()) > 1:
        return
    largest = 0
    for start in range(0, len(images), BLOCK):
        largest = max(largest, int(images[start : start + BLOCK].max()))
        if largest > 1:
            return
    if largest == 1:
        raise InvalidValue(
            f"{what} are uint8 and hold only 0 and 1, where 255 is white: expected 0 to 255 (multiply them by 255)"
        )
