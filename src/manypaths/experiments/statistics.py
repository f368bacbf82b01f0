"""Statistics with intervals: numbers in, ``Estimate`` out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.experiments.estimates import Estimate
from manypaths.experiments.paired_shares import paired_interval
from manypaths.experiments.tables import Table

FEW = 8
"""Rows below which the percentiles of resamples are no interval any more."""


class NotTested(Exception):
    """A statistic has nothing to be read from; the message says what is missing."""


def bootstrap_interval(
    values: np.ndarray,
    summary: Callable[[np.ndarray], float],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The expanded percentile bootstrap of ``summary(values)``: rows of ``values`` are resampled with replacement.

    ``summary`` does not look at the order of the rows.

    The plain percentile interval is too short for few rows. Its tails alpha/2 become
    Phi(-sqrt(n / (n - 1)) t_{n-1, 1-alpha/2}), which for a mean is the t interval's width (Hesterberg, What Teachers
    Should Know About the Bootstrap, 2015). From fewer than eight rows so few different means can be drawn that it falls
    short all the same (of three: to the range of the rows, which holds the mean 76 times in 100): there it reaches at
    least t_{n-1, 1-alpha/2} standard errors to either side. One row gives the whole line.
    """
    n = len(values)
    if n == 0:
        raise InvalidValue("no rows to summarise: expected at least one")
    value = float(summary(values))
    if n == 1:
        return Estimate(value, -math.inf, math.inf)
    distinct: np.ndarray = np.random.default_rng(seed).integers(n, size=(resamples, n))
    again: Any = slice(None)
    if n < FEW:  # the same ones come again and again: of 5 rows there are 126 resamples
        distinct, again = np.unique(np.sort(distinct, axis=1), axis=0, return_inverse=True)
    with np.errstate(invalid="ignore"):
        drawn = np.array([summary(values[rows]) for rows in distinct])[again]
    return percentiles(value, drawn, n, level=level)


def percentiles(value: float, drawn: np.ndarray, n: int, *, level: float) -> Estimate:
    """The expanded percentile interval of a value that was ``drawn`` again from resamples of n rows, n >= 2."""
    from scipy.stats import norm, t

    if np.isnan(drawn).any():
        return Estimate(value, math.nan, math.nan)
    tail = norm.cdf(-math.sqrt(n / (n - 1)) * t.ppf((1 + level) / 2, n - 1))
    low = np.quantile(drawn, tail, method="lower")  # no interpolation: a diverged seed is infinite
    high = np.quantile(drawn, 1 - tail, method="higher")
    if n < FEW and np.isfinite(drawn).all():
        reach = t.ppf((1 + level) / 2, n - 1) * math.sqrt(n / (n - 1)) * drawn.std()
        low, high = min(low, value - reach), max(high, value + reach)
    return Estimate(value, float(low), float(high))


def binomial_interval(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    """A share and its exact interval (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    if not 0 <= successes <= n or n < 1:
        raise InvalidValue(f"{successes} successes in {n} trials: expected between 0 and n, and n >= 1")
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes == n else float(beta.ppf(1 - tail, successes + 1, n - successes))
    return Estimate(successes / n, low, high)


class Statistic(ABC):
    """A number computed from the study's table, with an interval; raises ``NotTested`` where there is none to be had.

    ``where`` selects rows by the values of columns before anything else happens.
    """

    @abstractmethod
    def estimate(self, table: Table) -> Estimate: ...

    @property
    @abstractmethod
    def seeds(self) -> int | None:
        """The number of seeds at the scale; ``None`` where nothing is sampled."""

    @abstractmethod
    def __str__(self) -> str:
        """How the number and its interval come about, in words."""


@dataclass(frozen=True, kw_only=True)
class Exact(Statistic):
    """A number that no sampling enters: the interval is the number itself."""

    function: Callable[[Table], float]
    where: Mapping[str, Any] = field(default_factory=dict)

    def estimate(self, table: Table) -> Estimate:
        value = float(self.function(table.where(**self.where)))
        return Estimate(value, value, value)

    @property
    def seeds(self) -> None:
        return None

    def __str__(self) -> str:
        return "exact"


@dataclass(frozen=True, kw_only=True)
class Bootstrap(Statistic):
    """``summary`` over seeds of what ``per_seed`` makes of the rows of one seed; whole seeds are resampled.

    Rows that share a seed (arms of a paired comparison, points of a curve) stay together.

    Attributes:
        per_seed: the rows of one seed -> a number, or several.
        summary: (n,) or (n, k) array of these, one row per seed -> the statistic.
        n: seeds at the scale.
        spread: assumed standard deviation of one seed's contribution: the statistic's standard error is assumed to be
            spread / sqrt(n). Decides the power that is announced, and nothing else.
        least: the smallest value that the statistic can have; for the power, too.
        by: the column of seeds.
    """

    per_seed: Callable[[Table], Any]
    summary: Callable[[np.ndarray], Any] = np.mean
    n: fields.PositiveInt
    spread: fields.Positive
    least: fields.Extended = -math.inf
    by: str = "seed"
    where: Mapping[str, Any] = field(default_factory=dict)
    level: fields.Probability = 0.95
    resamples: fields.PositiveInt = 2000

    def __post_init__(self) -> None:
        fields.check(self)

    def estimate(self, table: Table) -> Estimate:
        groups = trials(table.where(**self.where), self.by, self.n)
        values = np.array([self.per_seed(rows) for rows in groups], dtype=float)
        return bootstrap_interval(values, self.summary, level=self.level, resamples=self.resamples)

    @property
    def seeds(self) -> int:
        return self.n

    def __str__(self) -> str:
        return f"bootstrap over {self.n} seeds, {self.level:.0%}"


@dataclass(frozen=True, kw_only=True)
class Proportion(Statistic):
    """The share of seeds for whose rows ``per_seed`` is true."""

    per_seed: Callable[[Table], bool]
    n: fields.PositiveInt
    by: str = "seed"
    where: Mapping[str, Any] = field(default_factory=dict)
    level: fields.Probability = 0.95

    def __post_init__(self) -> None:
        fields.check(self)

    def estimate(self, table: Table) -> Estimate:
        groups = trials(table.where(**self.where), self.by, self.n)
        return binomial_interval(sum(bool(self.per_seed(rows)) for rows in groups), self.n, level=self.level)

    @property
    def seeds(self) -> int:
        return self.n

    def __str__(self) -> str:
        return f"exact binomial over {self.n} seeds, {self.level:.0%}"


@dataclass(frozen=True, kw_only=True)
class PairedShares(Statistic):
    """The share of trials in which a first arm succeeds less that of a second, both read from the same trials.

    Attributes:
        per_trial: the rows of one trial -> whether the first and whether the second arm succeeded.
        n: trials at the scale.
        discordant: assumed share of trials in which one arm alone succeeds. Decides the power that is announced, and
            nothing else.
        by: the column of trials.
    """

    per_trial: Callable[[Table], tuple[bool, bool]]
    n: fields.PositiveInt
    discordant: fields.Probability
    by: str = "setting"
    where: Mapping[str, Any] = field(default_factory=dict)
    level: fields.Probability = 0.95

    def __post_init__(self) -> None:
        fields.check(self)

    def estimate(self, table: Table) -> Estimate:
        pairs = [self.per_trial(rows) for rows in trials(table.where(**self.where), self.by, self.n)]
        first, second = sum(bool(a) and not b for a, b in pairs), sum(bool(b) and not a for a, b in pairs)
        return paired_interval(first, second, self.n, level=self.level)

    @property
    def seeds(self) -> int:
        return self.n

    def __str__(self) -> str:
        return f"paired over {self.n} {self.by}s, exact, {self.level:.0%}"


def trials(table: Table, by: str, n: int) -> list[Table]:
    """The rows of each seed; a number of seeds other than the planned one is a mistake in the study."""
    present = table.take(np.array([seed is not None and seed == seed for seed in table[by].tolist()], dtype=bool))
    groups = [rows for _, rows in present.groups(by)]
    if len(groups) != n:
        raise InvalidValue(f"the table holds {len(groups)} values of {by}: expected {n} at this scale")
    return groups


def lead_of_the_last(values: np.ndarray) -> float:
    """The mean of the last column less the largest mean of the others."""
    *others, last = values.mean(0)
    return float(last - max(others))


def median_interval(values: np.ndarray, *, resamples: int = 200, seed: int = 0) -> np.ndarray:
    """The 95 % bootstrap interval of the median, (2, marks), from values (marks, groups, repetitions).

    Whole groups are resampled: repetitions within one (on one draw of a game, say) are not independent.
    """
    marks, groups, _ = values.shape
    chosen = np.random.default_rng(seed).integers(groups, size=(resamples, groups))
    medians = np.stack([np.median(values[:, drawn].reshape(marks, -1), axis=1) for drawn in chosen])
    return np.quantile(medians, (0.025, 0.975), axis=0)
