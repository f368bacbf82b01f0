"""What the claims of ``parallel_lines`` read off a table: one run at a time, then all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from manypaths.experiments.tables import Table
from manypaths.studies.parallel_lines.runs import EXACT

REACHED = 0.01
"""The Frechet distance below which a run has reached the data line: a tenth of the displacement, squared."""
STALLED = 0.5
"""A run that ends further away than this share of the displacement has stalled."""
QUANTITIES = (*EXACT, "frechet")
QUARTER = 4


def ordered(rows: Table) -> Table:
    """One run's observations in their order."""
    return rows.take(np.argsort(rows["step"], kind="stable"))


def last_quarter(values: np.ndarray) -> float:
    """The median over the last quarter of the observations, NaN where none was read."""
    return _median(values[-max(1, len(values) // QUARTER) :])


def first_quarter(values: np.ndarray) -> float:
    return _median(values[: max(1, len(values) // QUARTER)])


def _median(values: np.ndarray) -> float:
    read = values[~np.isnan(values)]
    return float(np.median(read)) if len(read) else float("nan")


def final(rows: Table) -> float:
    """W_2 at the end; infinite where the run diverged."""
    values = ordered(rows)["w2"]
    return float("inf") if np.isnan(values[-1]) else last_quarter(values)


def reached(rows: Table) -> bool:
    return final(rows) ** 2 < REACHED


def stalled(rows: Table) -> bool:
    """It ends far away, but did not run away: a diverged run has not stalled."""
    displacement = float(rows["displacement"][0])
    return STALLED * displacement < final(rows) < 2 * displacement


def way(rows: Table) -> Table:
    """The observations from the start to the arrival at the data line, the first under ``REACHED``."""
    rows = ordered(rows)
    under = np.flatnonzero(rows["w2"] ** 2 < REACHED)
    return rows.take(np.arange(under[0] + 1)) if len(under) else rows


def risen(quantity: str) -> Callable[[Table], float]:
    """The share of intervals on the way in which it rose by more than its floor; NaN of a run that failed."""

    def share(rows: Table) -> float:
        path = way(rows)
        if not reached(rows) or len(path) < 2:
            return float("nan")
        return float(np.mean(path[f"{quantity}_rose"][1:]))

    return share


def log_change(column: str) -> Callable[[Table], float]:
    """log of the last quarter's median over the first's; NaN of a run that failed."""

    def change(rows: Table) -> float:
        values = ordered(rows)[column]
        ends = first_quarter(values), last_quarter(values)
        return float(np.log(max(ends[1], 1e-12) / max(ends[0], 1e-12))) if reached(rows) else float("nan")

    return change


def log_change_on_the_way(column: str) -> Callable[[Table], float]:
    """log of the last value that was read until arrival over the first; NaN of a run that failed."""

    def change(rows: Table) -> float:
        values = way(rows)[column]
        read = values[~np.isnan(values)]
        if not reached(rows) or len(read) < 2:
            return float("nan")
        return float(np.log(max(read[-1], 1e-12) / max(read[0], 1e-12)))

    return change


def falls_on_the_way(column: str) -> Callable[[Table], float]:
    """The share of intervals on the way in which it fell; NaN of a run that failed."""

    def share(rows: Table) -> float:
        path = way(rows)
        return float(np.mean(np.diff(path[column]) < 0)) if reached(rows) and len(path) > 1 else float("nan")

    return share


def mean_of_numbers(values: np.ndarray) -> float:
    """The mean over the runs that have a number, NaN where none has."""
    read = values[~np.isnan(values)]
    return float(read.mean()) if len(read) else float("nan")


def largest_gap_to_log_2(table: Table) -> float:
    """|JSD - log 2|, at any observation of any run."""
    return float(np.abs(table["exact_jsd"] - np.log(2)).max())


def largest_slope(table: Table) -> float:
    return float(table["exact_slope"].max())


def decay(table: Table) -> float:
    """The slope of log(s |dJSD/ddelta|) over delta^2 / 8 s^2: -1 where the gradient falls like exp of minus that."""
    s, first = np.unique(table["s"], return_index=True)
    x = table["displacement"][first] ** 2 / (8 * s**2)
    return float(np.polyfit(x, np.log(s * table["jsd"][first]), 1)[0])


def log_ratio_over_s(column: str) -> Callable[[Table], float]:
    """One seed's log gradient at the smallest s over that at the largest."""

    def ratio(rows: Table) -> float:
        order = np.argsort(rows["s"])
        found = np.maximum(rows[column][order], 1e-300)
        return float(np.log(found[0] / found[-1]))

    return ratio


def distance_covered(table: Table) -> float:
    """Of direct minimisation at the smallest s: the share of the way to the data line that it went."""
    rows = ordered(table.take(table["s"] == table["s"].min()))
    return float(1 - rows["w2"][-1] / rows["w2"][0])
