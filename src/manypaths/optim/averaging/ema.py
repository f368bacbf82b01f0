"""The exponential moving average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from manypaths import fields
from manypaths.optim.averaging.base import Average


@dataclass(eq=False)
class EMA(Average):
    """mean <- decay * mean + (1 - decay) * w_t, started at the first point.

    Early on the decay is at most 1 - 1/t, so that the start does not linger (the average is then uniform).
    """

    decay: fields.Fraction = 0.999
    of: Literal["iterate", "extrapolated"] = "iterate"

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()

    def weight(self) -> float | Tensor:
        if isinstance(self.count, Tensor):
            return (1.0 / self.count).clamp_(min=1.0 - self.decay)
        return max(1.0 - self.decay, 1.0 / self.count)
