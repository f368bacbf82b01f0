"""The uniform (Polyak-Ruppert) average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from manypaths import fields
from manypaths.optim.averaging.base import Average


@dataclass(eq=False)
class UniformAverage(Average):
    """(1/T) sum_t w_t since the last restart: AVG-SVRE.

    Attributes:
        restart: probability with which the iterate jumps to this average, which then starts anew (SVRE uses 0.1).
        restart_at: when that coin is tossed: at each ``"snapshot"`` of the oracle, or after every ``"step"``.
        of: average iterates, or the extrapolated points of a rule that announces them.
    """

    restart: fields.Probability = 0.0
    restart_at: Literal["snapshot", "step"] = "snapshot"
    of: Literal["iterate", "extrapolated"] = "iterate"

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()

    def weight(self) -> float | Tensor:
        return 1.0 / self.count
