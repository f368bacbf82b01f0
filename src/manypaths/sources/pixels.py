"""Images between the two places where they live: uint8 at rest, float in front of the networks."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from manypaths.errors import InvalidValue

Pixels = Literal["symmetric", "unit"]
"""The floats that 0 and 255 stand for: -1 and 1 (``symmetric``), or 0 and 1 (``unit``)."""

Range = tuple[float, float]
"""The numbers that stand for black and for white."""


def to_float(images: Tensor, pixels: Pixels = "symmetric") -> Tensor:
    """uint8 to floats; data that are floats already are left alone."""
    if images.dtype != torch.uint8:
        return images
    floats = images.to(torch.get_default_dtype()).div_(255.0)
    return floats.mul_(2.0).sub_(1.0) if pixels == "symmetric" else floats


def to_uint8(images: Tensor, pixels: Pixels = "symmetric") -> Tensor:
    """Floats to the nearest uint8, clipped to the range."""
    unit = images.detach().add(1.0).div(2.0) if pixels == "symmetric" else images.detach()
    return unit.clamp(0.0, 1.0).mul(255.0).round().to(torch.uint8)


def scaled(values: np.ndarray, low: float, high: float, where: str) -> np.ndarray:
    """Numbers in [low, high] to the nearest of 0 .. 255; others are refused, for they would be saturated."""
    if not low < high:
        raise InvalidValue(f"range is {low:g}, {high:g}: expected black below white (--set data.range=0,1)")
    least, most = (float(values.min()), float(values.max())) if values.size else (low, high)
    if not (low <= least and most <= high):  # NaN is in no range
        raise InvalidValue(
            f"{where} holds {values.dtype} from {least:g} to {most:g}: expected {low:g} to {high:g}; set range to what "
            "black and white are (--set data.range=0,4095)"
        )
    unit = (values.astype(np.float64) - low) / (high - low)
    return np.rint(unit * 255.0).astype(np.uint8)
