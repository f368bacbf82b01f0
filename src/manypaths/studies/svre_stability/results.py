"""What the runs of ``svre_stability`` came to: which of them diverged, and how they ended."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from manypaths.studies.engine.statistics import Estimate, NotTested, PairedShares
from manypaths.studies.engine.tables import Table

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


def diverged(run: Table) -> bool:
    """A loss, gradient or weight that is not finite, or every score of the last quarter worse than twice the best."""
    if run["state"][0] == "diverged":
        return True
    return bool(late(run).min() > WORSE * np.nanmin(run["score"].astype(float)))


def end(run: Table) -> float:
    """The best score in the last quarter, lower is better; infinite where the run became non-finite."""
    return math.inf if run["state"][0] == "diverged" else float(late(run).min())


def one_diverges(method: str) -> Callable[[Table], bool]:
    """Whether a method diverged at a setting."""
    return lambda rows: diverged(run_of(rows, method))


def both_diverge(method: str, other: str) -> Callable[[Table], tuple[bool, bool]]:
    """Whether the one and whether the other method diverged at a setting."""
    return lambda rows: (diverged(run_of(rows, method)), diverged(run_of(rows, other)))


def ends_lower(method: str, other: str) -> Callable[[Table], bool]:
    """Whether the one method ends with a better score than the other at a setting."""
    return lambda rows: end(run_of(rows, method)) < end(run_of(rows, other))


@dataclass(frozen=True, kw_only=True)
class AtHorizon(PairedShares):
    """Shares that count only where a method ran for long enough.

    Attributes:
        method: whose longest run decides.
        iterations: how many steps it takes.
    """

    method: str
    iterations: int

    def estimate(self, table: Table) -> Estimate:
        rows = table.where(**self.where, method=self.method)
        longest = int(rows["step"].max()) if len(rows) else 0
        if longest < self.iterations:
            said = f"its longest run here has {longest:,}" if longest else "it was not played here"
            raise NotTested(f"{self.iterations:,} iterations of {self.method} are needed, and {said}")
        return super().estimate(table)

    def __str__(self) -> str:
        return f"{super().__str__()}; from {self.iterations:,} iterations of {self.method} on"
