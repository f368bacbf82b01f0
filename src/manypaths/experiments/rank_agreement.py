"""Whether two rankings of the same arms agree, by Kendall's tau of mean ranks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from manypaths.experiments.statistics import Bootstrap, Estimate, percentiles, trials
from manypaths.experiments.tables import Table


@dataclass(frozen=True, kw_only=True)
class RankAgreement(Bootstrap):
    """Kendall's tau between the arms' mean ranks in this study and ``elsewhere``.

    ``per_seed`` gives the arms' ranks in one trial, (arms,); mean ranks over trials are Friedman's (1937). The trials
    of both sides are resampled, independently of each other.

    Attributes:
        elsewhere: () -> the ranks of the same arms in the other study's trials, (trials, arms); raises ``NotTested``.
        name: of the other study.
    """

    elsewhere: Callable[[], np.ndarray]
    name: str

    def estimate(self, table: Table) -> Estimate:
        groups = trials(table.where(**self.where), self.by, self.n)
        sides = np.array([self.per_seed(rows) for rows in groups], dtype=float), self.elsewhere()
        value, fewest = kendall(*(side.mean(0) for side in sides)), min(map(len, sides))
        if fewest == 1:
            return Estimate(value, -math.inf, math.inf)
        rng = np.random.default_rng(0)
        resampled = lambda side: side[rng.integers(len(side), size=len(side))].mean(0)  # noqa: E731
        drawn = np.array([kendall(*map(resampled, sides)) for _ in range(self.resamples)])
        return percentiles(value, drawn, fewest, level=self.level)

    def __str__(self) -> str:
        return f"bootstrap over {self.n} {self.by}s here and those of {self.name}, {self.level:.0%}"


def kendall(one: np.ndarray, other: np.ndarray) -> float:
    """tau_a: concordant less discordant pairs, over all pairs; ties are neither, so resamples are never undefined."""
    i, j = np.triu_indices(len(one), 1)
    return float((np.sign(one[i] - one[j]) * np.sign(other[i] - other[j])).mean())
