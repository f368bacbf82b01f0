"""Weight clipping (Arjovsky, Chintala and Bottou 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidType
from manypaths.penalties.base import Projection


@dataclass(frozen=True)
class WeightClipping(Projection):
    """w <- min(max(w, -limit), limit), for every entry of every trainable weight, BatchNorm's included."""

    limit: fields.Positive = 0.01

    def __post_init__(self) -> None:
        fields.check(self)

    @torch.no_grad()
    def __call__(self, parameters: Sequence[Tensor]) -> None:
        if any(p.is_complex() for p in parameters):
            raise InvalidType("WeightClipping has no interval for complex weights: expected real ones")
        if parameters:
            torch._foreach_clamp_min_(list(parameters), -self.limit)
            torch._foreach_clamp_max_(list(parameters), self.limit)
