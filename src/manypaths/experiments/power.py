"""What a claim can decide at its number of seeds, said before the runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from manypaths.experiments.claims import Claim, Region, Ruling
from manypaths.experiments.statistics import (
    Bootstrap,
    Estimate,
    Exact,
    PairedShares,
    Proportion,
    binomial_interval,
    paired_interval,
)

CHANCE = 0.8
"""The probability with which a claim should be decided: four times in five."""


@dataclass(frozen=True)
class Power:
    """What a claim can decide.

    Attributes:
        smallest_effect: the distance from the boundary of the expected region at which the claim is decided with
            probability 0.8 (``None``: at no distance; 0: always decided).
        undecided: the probability of ``undecided`` when the statistic's true value is ``assumed`` (``None``: no value
            was assumed).
        confirmable: whether some value in the region is far enough from its boundaries. Where none is (an equivalence
            with too few seeds), the claim can be refuted and hardly confirmed.
    """

    smallest_effect: float | None
    undecided: float | None = None
    assumed: float | None = None
    confirmable: bool = True

    @property
    def reach(self) -> str:
        """The smallest effect in a word, for a column of a table."""
        if self.smallest_effect is None:
            return "never"
        off = f"{self.smallest_effect:.2g} off" if self.smallest_effect else "always"
        return off if self.confirmable else f"{off}, to refute"

    def __str__(self) -> str:
        if self.smallest_effect is None:
            text = "confirmed at no value"
        elif self.smallest_effect == 0:
            text = "always decided"
        else:
            text = f"{'decided' if self.confirmable else 'refuted'} from {self.smallest_effect:.2g} off the boundary"
        if not self.confirmable and self.smallest_effect is not None:
            text += "; confirmed four times in five at no value"
        if self.undecided is not None:
            text += f"; undecided at {self.assumed:g} with probability {self.undecided:.2f}"
        return text


def power(claim: Claim) -> Power:
    """The power of a claim: exact for shares (of the assumed discordant pairs), for a bootstrap under normal seeds."""
    statistic, region, assumed = claim.statistic, claim.expected, claim.assumed
    if isinstance(statistic, (Proportion, PairedShares)):
        shares = _proportion(statistic, region) if isinstance(statistic, Proportion) else _paired(statistic, region)
        return Power(
            shares.smallest_effect(), None if assumed is None else shares.chance("undecided", assumed), assumed
        )
    if isinstance(statistic, Bootstrap):
        n, spread, level = statistic.n, statistic.spread, statistic.level
        effect = smallest_effect(n, spread, level=level)
        chance = partial(ruling_chance, n, spread, region, level=level)
        deepest = _deepest(region, statistic.least)
        confirmable = deepest is None or chance(deepest, "holds") >= CHANCE
        return Power(effect, None if assumed is None else chance(assumed, "undecided"), assumed, confirmable)
    assert isinstance(statistic, Exact)
    return Power(0.0)


def smallest_effect(n: int, spread: float, *, level: float = 0.95) -> float | None:
    """The delta at which a t interval from n normal seeds misses the boundary with probability 0.8.

    Solves P(T > t_{n-1, 1-alpha/2}) = 0.8, T noncentral t with n - 1 degrees of freedom and noncentrality
    delta sqrt(n) / spread; the far side of the boundary is left out, being less than one in a thousand.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    if n < 2:
        return None
    critical = t.ppf((1 + level) / 2, n - 1)
    shift = brentq(lambda d: float(nct.sf(critical, n - 1, d)) - CHANCE, 0.0, 2 * critical + 10)
    return float(shift) * spread / math.sqrt(n)  # type: ignore[arg-type]


def ruling_chance(
    n: int, spread: float, region: Region, value: float, ruling: Ruling, *, level: float = 0.95, draws: int = 4000
) -> float:
    """The probability of a ruling at a true value, by simulating means and t intervals of n normal seeds."""
    from scipy.stats import t

    if n < 2:
        return float(ruling == "undecided")
    rng = np.random.default_rng(0)
    means = value + spread / math.sqrt(n) * rng.standard_normal(draws)
    deviations = spread * np.sqrt(rng.chisquare(n - 1, draws) / (n - 1))
    half = t.ppf((1 + level) / 2, n - 1) * deviations / math.sqrt(n)
    rulings = [region.rule(low, high) for low, high in zip(means - half, means + half, strict=True)]
    return rulings.count(ruling) / draws


def _deepest(region: Region, least: float) -> float | None:
    """The value of a region that is farthest from its boundaries; ``None`` where there is none such."""
    deepest = max(least, (region.low + region.high) / 2)
    return None if region.outside or math.isinf(deepest) else deepest


class _Shares:
    """Every number of successes has a ruling, so that chances are sums of binomial probabilities.

    ``intervals[k]`` is what k successes lead to; the statistic is ``scale * share + shift``.
    """

    def __init__(self, intervals: list[Estimate], region: Region, *, scale: float = 1.0, shift: float = 0.0):
        self._n, self._region, self._scale, self._shift = len(intervals) - 1, region, scale, shift
        self._rulings = np.array([region.rule(i.low, i.high) for i in intervals])

    def chance(self, ruling: str, value: float) -> float:
        """The probability of a ruling where the statistic's true value is ``value``."""
        return float(self._chances(ruling, np.array([value]))[0])

    def _chances(self, ruling: str, values: np.ndarray) -> np.ndarray:
        from scipy.stats import binom

        shares = (values[:, None] - self._shift) / self._scale
        return binom.pmf(np.flatnonzero(self._rulings == ruling), self._n, shares).sum(1)

    def smallest_effect(self) -> float | None:
        """The smallest distance from the boundary, in steps of 0.001, at which the claim is confirmed."""
        distances = np.arange(1, 1001) / 1000
        values = np.add.outer((-distances, distances), self._region.boundaries)  # (side, distance, boundary)
        possible = (self._shift <= values) & (values <= self._shift + self._scale)
        confirmed = np.zeros_like(possible)
        confirmed[possible] = self._chances("holds", values[possible]) >= CHANCE
        enough = distances[confirmed.any((0, 2))]
        return float(enough[0]) if len(enough) else None


def _proportion(statistic: Proportion, region: Region) -> _Shares:
    n, level = statistic.n, statistic.level
    return _Shares([binomial_interval(k, n, level=level) for k in range(n + 1)], region)


def _paired(statistic: PairedShares, region: Region) -> _Shares:
    """Where the assumed number m of pairs, at least one, is discordant: a difference is (2 theta - 1) m / n."""
    n, m = statistic.n, max(1, round(statistic.discordant * statistic.n))
    intervals = [paired_interval(k, m - k, n, level=statistic.level) for k in range(m + 1)]
    return _Shares(intervals, region, scale=2 * m / n, shift=-m / n)
