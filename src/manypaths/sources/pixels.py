"""Images between the two places where they live: uint8 at rest, float in front of the networks."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Pixels = Literal["symmetric", "unit"]
"""The floats that 0 and 255 stand for: -1 and 1 (``symmetric``), or 0 and 1 (``unit``)."""


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
