"""Claims: a statistic, where it is expected, and the verdict that its interval allows."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from manypaths.errors import InvalidValue
from manypaths.experiments.statistics import Estimate, NotTested, Statistic
from manypaths.experiments.tables import Table

Ruling = Literal["holds", "does not hold", "undecided"]


@dataclass(frozen=True)
class Region:
    """Where a statistic is expected: inside (low, high), or outside of it.

    The rule over an interval: it lies in the region: *holds*; it lies apart from it: *does not hold*; neither:
    *undecided*.
    """

    low: float
    high: float
    outside: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise InvalidValue(f"the region ({self.low}, {self.high}) is empty: expected low < high")

    def rule(self, low: float, high: float) -> Ruling:
        """The verdict on the interval [low, high]; an end may be infinite (a run diverged), and NaN decides nothing."""
        free_below, free_above = self.low == -math.inf, self.high == math.inf
        inside = (free_below or self.low < low) and (free_above or high < self.high)
        apart = (not free_below and high <= self.low) or (not free_above and low >= self.high)
        if inside:
            return "does not hold" if self.outside else "holds"
        if apart:
            return "holds" if self.outside else "does not hold"
        return "undecided"

    def negated(self) -> Region:
        return dataclasses.replace(self, outside=not self.outside)

    @property
    def boundaries(self) -> list[float]:
        return [bound for bound in (self.low, self.high) if math.isfinite(bound)]

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"{'>=' if self.outside else '<'} {self.high:g}"
        if math.isinf(self.high):
            return f"{'<=' if self.outside else '>'} {self.low:g}"
        return f"{'outside' if self.outside else 'in'} ({self.low:g}, {self.high:g})"


def below(threshold: float) -> Region:
    """The statistic is less than the threshold."""
    return Region(-math.inf, threshold)


def above(threshold: float) -> Region:
    """The statistic is greater than the threshold."""
    return Region(threshold, math.inf)


def within(margin: float, *, of: float = 0.0) -> Region:
    """Equivalence: the statistic differs from ``of`` by less than the margin."""
    return Region(of - margin, of + margin)


@dataclass(frozen=True)
class Verdict:
    """What the study says about one claim."""

    claim: Claim
    estimate: Estimate
    ruling: Ruling
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One prediction, fixed before the runs.

    Attributes:
        name: of the prediction, ``"P2.1"``.
        statement: in a sentence.
        statistic: the number that decides, and its interval.
        expected: where the claim says that it lies.
        assumed: the value at which the power is announced.
    """

    name: str
    statement: str
    statistic: Statistic
    expected: Region
    assumed: float | None = None

    def judge(self, table: Table) -> Verdict:
        """The verdict from a complete table; a statistic that is not a number, or not to be had, decides nothing."""
        try:
            estimate = self.statistic.estimate(table)
        except NotTested as missing:
            return undecided(self, f"not tested: {missing}")
        return Verdict(self, estimate, self.expected.rule(estimate.low, estimate.high))

    def negated(self) -> Claim:
        """The opposite claim: whatever decides the one must decide the other the other way."""
        statement = f"It is not so that: {self.statement}"
        return dataclasses.replace(self, statement=statement, expected=self.expected.negated())


def undecided(claim: Claim, note: str) -> Verdict:
    """The verdict where there is nothing to judge from."""
    return Verdict(claim, Estimate(math.nan, math.nan, math.nan), "undecided", note)
