"""The contract of a schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

Unit = Literal["updates", "images"]


class Schedule(ABC):
    """The course of one number: a function of how far training has come, so that nothing of it needs to be saved.

    Subclasses are dataclasses whose fields are the settings.

    Attributes:
        unit: what is counted: steps of the rule, or images seen, which are steps times the oracle's ``batch``.
    """

    unit: Unit

    @abstractmethod
    def value(self, start: float, at: float) -> float:
        """The number after ``at`` units, having begun as ``start``."""

    @abstractmethod
    def extremes(self, start: float) -> tuple[float, ...]:
        """The smallest and the largest value that it takes, so that bounds are checked before anything runs."""


def progress(at: float, after: float, over: float) -> float:
    """The share of ``over`` units that have passed since ``after``, between 0 and 1."""
    return min(max((at - after) / over, 0.0), 1.0)
