"""Pieces that networks share."""

from __future__ import annotations

from typing import Literal

from torch import nn
from torch.nn import Module

__all__ = ["Module", "Norm", "norm_layer"]

Norm = Literal["batch", "none"]


def norm_layer(norm: Norm, channels: int) -> list[nn.Module]:
    """The normalisation after a layer of ``channels`` channels: zero or one module."""
    return [nn.BatchNorm2d(channels)] if norm == "batch" else []
