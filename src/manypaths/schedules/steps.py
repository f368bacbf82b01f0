"""Multiplied by a factor at each of some marks."""

from __future__ import annotations

from dataclasses import dataclass

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.schedules.base import Schedule, Unit


@dataclass(frozen=True, kw_only=True)
class Steps(Schedule):
    """v(t) = start * factor^k, with k the number of marks that are at most t.

    Attributes:
        marks: rising, in units.
        factor: what the number is multiplied by at each.
        unit: what is counted, as in ``Schedule``.
    """

    marks: tuple[fields.PositiveInt, ...]
    factor: fields.Positive = 0.1
    unit: Unit = "updates"

    def __post_init__(self) -> None:
        fields.check(self)
        if not self.marks or list(self.marks) != sorted(set(self.marks)):
            raise InvalidValue(f"Steps.marks is {self.marks}: expected at least one, rising")

    def value(self, start: float, at: float) -> float:
        return start * self.factor ** sum(mark <= at for mark in self.marks)

    def extremes(self, start: float) -> tuple[float, ...]:
        return (start, start * self.factor ** len(self.marks))
