"""A number and how far it may be off."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A number and the interval [low, high] that a claim's rule looks at."""

    value: float
    low: float
    high: float
