"""A straight line from one value to another."""

from __future__ import annotations

from dataclasses import dataclass

from manypaths import fields
from manypaths.schedules.base import Schedule, Unit, progress


@dataclass(frozen=True, kw_only=True)
class Linear(Schedule):
    """v(t) = start + (to - start) s with s = (t - after) / over, held between 0 and 1.

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
        return start + (self.to - start) * progress(at, self.after, self.over)

    def extremes(self, start: float) -> tuple[float, ...]:
        return (start, self.to)
