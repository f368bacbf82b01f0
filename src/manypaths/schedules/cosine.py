"""Cosine annealing (Loshchilov and Hutter 2017), without restarts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from manypaths import fields
from manypaths.schedules.base import Schedule, Unit, progress


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """v(t) = to + (start - to) (1 + cos(pi s)) / 2 with s = (t - after) / over, held between 0 and 1.

    Attributes:
        over: units from the start value to the last one.
        to: the last value.
        after: units before it begins.
        unit: what is counted, as in ``Schedule``.
    """

    over: fields.PositiveInt
    to: float = 0.0
    after: fields.NonNegativeInt = 0
    unit: Unit = "updates"

    def __post_init__(self) -> None:
        fields.check(self)

    def value(self, start: float, at: float) -> float:
        return self.to + (start - self.to) * (1 + math.cos(math.pi * progress(at, self.after, self.over))) / 2

    def extremes(self, start: float) -> tuple[float, ...]:
        return (start, self.to)
