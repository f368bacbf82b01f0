"""What the runs of ``svre_stability`` came to: which of them diverged, and how they ended."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from manypaths.experiments.statistics import Estimate, NotTested, PairedShares
from manypaths.experiments.tables import Table

WORSE = 2.0
"""How many times its own best a run's score becomes, and stays, where it has diverged."""
LAST = 0.75
"""Where the last quarter of the budget begins."""


def run_of(rows: Table, method: str) -> Table:
    """One method's marks at one setting, in their order."""
    run = rows.where(method=method)
    return run.take(np.argsort(run["evaluations"].astype(float), kind="stable"))


def late(run: Table) -> np.ndarray:
    """The scores in the last quarter of the budget."""
    scores, spent = run["score"].astype(float), run["evaluations"].astype(float)
    return scores[(spent >= LAST * float(run["budget"][0])) & np.isfinite(scores)]


def lost(run: Table) -> bool:
    """A loss, a gradient or a weight became non-finite, or the run has no score in the last quarter."""
    return run["state"][0] == "diverged" or not len(late(run))


def diverged(run: Table) -> bool:
    """Lost, or every score of the last quarter worse than twice the best."""
    return lost(run) or bool(late(run).min() > WORSE * best(run))


def best(run: Table) -> float:
    """The lowest score; infinite where there is none."""
    scores = run["score"].astype(float)
    return float(np.nanmin(scores)) if np.isfinite(scores).any() else math.inf


def end(run: Table) -> float:
    """The best score in the last quarter, lower is better; infinite where the run was lost."""
    return math.inf if lost(run) else float(late(run).min())


def one_diverges(method: str) -> Callable[[Table], bool]:
    """Whether a method diverged at a setting."""
    return lambda rows: diverged(run_of(rows, method))


def both_diverge(method: str, other: str) -> Callable[[Table], tuple[bool, bool]]:
    """Whether the one and whether the other method diverged at a setting."""
    return lambda rows: (diverged(run_of(rows, method)), diverged(run_of(rows, other)))


def would_show(method: str) -> Callable[[Table], bool]:
    """Whether a method at a setting was lost, or came near enough to the data for a divergence to show in its score.

    Scores have a ceiling (a grey image has a finite Frechet distance). The worst score of any method at the setting
    stands for it: a run whose best is above 1 / ``WORSE`` of that cannot diverge by score, however it ends.
    """

    def would(rows: Table) -> bool:
        run = run_of(rows, method)
        return lost(run) or WORSE * best(run) < float(np.nanmax(rows["score"].astype(float)))

    return would


def ends_lower(method: str, other: str) -> Callable[[Table], bool]:
    """Whether the one method ends with a better score than the other at a setting."""
    return lambda rows: end(run_of(rows, method)) < end(run_of(rows, other))


@dataclass(frozen=True, kw_only=True)
class AtHorizon(PairedShares):
    """Shares that count only where all runs of a method that were not lost took so many steps.

    Attributes:
        method: whose runs decide.
        iterations: how many steps it takes.
    """

    method: str
    iterations: int

    def estimate(self, table: Table) -> Estimate:
        rows = table.where(**self.where, method=self.method)
        if not len(rows):
            raise NotTested(f"{self.iterations:,} iterations of {self.method} are needed, and it was not played here")
        taken = [int(run["step"].max()) for _, run in rows.groups(self.by) if not lost(run)]
        if taken and min(taken) < self.iterations:
            said = f"its shortest run here has {min(taken):,}"
            raise NotTested(f"{self.iterations:,} iterations of {self.method} are needed, and {said}")
        return super().estimate(table)

    def __str__(self) -> str:
        return f"{super().__str__()}; from {self.iterations:,} iterations of {self.method} on"
