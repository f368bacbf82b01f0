"""What the runs of ``monotone-rates`` came to: costs, how they grow, which method is cheaper."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manypaths.experiments.tables import Table

COMPARED: tuple[str, ...] = ("svrg", "accelerated", "svre", "batch")
"""The methods whose costs are compared."""


def configurations(rows: Table) -> np.ndarray:
    """One game's n, x and log cost in every configuration, (configurations, 3)."""
    order = np.lexsort([rows["conditioning"], rows["n"], rows["family"].astype(str)])
    return np.stack([rows["n"], rows["x"], np.log(rows["cost"])], axis=1)[order]


def exponent(size: float) -> Callable[[np.ndarray], float]:
    """c of the fit to the games' mean log costs, (games, configurations, 3)."""

    def summary(values: np.ndarray) -> float:
        n, x, log_cost = values.mean(0).T
        return fit(n, x, np.exp(log_cost), size)[2]

    return summary


def fit(n: np.ndarray, x: np.ndarray, cost: np.ndarray, size: float) -> tuple[float, float, float]:
    """a, b >= 0 and c of cost = a n + b n^size x^c with the least sum of squared relative errors.

    Given c the problem is linear in a and b; c is searched in steps of 0.005 from 0.05 to 4. NaN where a cost is
    infinite.
    """
    if not np.isfinite(cost).all():
        return math.nan, math.nan, math.nan
    c = np.arange(0.05, 4.0, 0.005)
    first, second = n / cost, n**size * x ** c[:, None] / cost
    ff, fs, ss = first @ first, second @ first, (second**2).sum(1)
    f, s = first.sum(), second.sum(1)
    determinant = ff * ss - fs**2
    a, b = (f * ss - s * fs) / determinant, (ff * s - fs * f) / determinant
    a, b = np.where(a < 0, 0.0, a), np.where(a < 0, s / ss, b)
    a, b = np.where(b < 0, f / ff, a), np.where(b < 0, 0.0, b)
    errors = a**2 * ff + 2 * a * b * fs + b**2 * ss - 2 * (a * f + b * s)
    best = int(np.argmin(errors))
    return float(a[best]), float(b[best]), float(c[best])


def slope(values: np.ndarray) -> float:
    """The slope of the games' mean log costs on log x."""
    _, x, log_cost = values.mean(0).T
    return float(np.polyfit(np.log(x), log_cost, 1)[0]) if np.isfinite(log_cost).all() else math.nan


def slope_per_component(values: np.ndarray) -> float:
    """``slope`` of cost / n."""
    return slope(np.stack([values[..., 0], values[..., 1], values[..., 2] - np.log(values[..., 0])], axis=-1))


def share_reached(rows: Table) -> float:
    return float(rows["reached"].mean())


def share_solved(rows: Table) -> float:
    return float(np.isfinite(rows["cost"]).mean())


def log_ratio(one: str, other: str) -> Callable[[Table], float]:
    def ratio(rows: Table) -> float:
        costs = (rows.where(method=method)["cost"].item() for method in (one, other))
        return math.log(next(costs)) - math.log(next(costs))

    return ratio


def best_at_an_end(table: Table) -> float:
    return float(np.sum(table["at_end"].astype(bool)))


# ---- figures -----------------------------------------------------------------------------------------------------


def costs(table: Table, **where: Any) -> dict[str, float]:
    """Method -> the median over games of its cost in one configuration, where it has one."""
    rows = table.where(**where)
    found = {name: rows.where(method=name)["cost"] for name in COMPARED}
    return {name: float(np.median(costs)) for name, costs in found.items() if len(costs)}
