"""What the runs of variance reduction on images came to: curves read at a mark, effects of factors, noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np

from manypaths.experiments.statistics import NotTested
from manypaths.experiments.tables import Table
from manypaths.studies.svre_mnist.runs import FACTORIAL

Axis = Literal["step", "cost"]
FACTORS = ("extragradient", "variance reduction", "Adam")
EFFECTS = tuple(chosen for size in (1, 2, 3) for chosen in combinations(range(3), size))
"""Main effects and interactions, as the numbers of the factors in them."""
SCORE = "inception score"
READ_OFF = {"SVRE": {5000: 6.5, 10_000: 7.0, 20_000: 7.5}, "SE-A": {5000: 3.3, 10_000: 5.1, 20_000: 7.1}}
"""Inception Scores of the SVRE poster by updates, read off its curves (up to 0.2), of an MLP 784-256-256-10."""
READ_OFF_NET = "mnist-mlp"
"""The only feature net whose scores may stand beside these."""


def arm(rows: Table, name: str) -> Table:
    """The rows of one arm; raises ``NotTested`` where the scale does not play it."""
    found = rows.where(arm=name)
    if not len(found):
        raise NotTested(f"{name} is not played at this scale")
    return found


def information(rows: Table, axis: Axis, at: float, *, average: bool = False) -> float:
    """log of the Inception Score of one run at a mark, linear between the measured ones.

    It is the information that an image carries about its label, between 0 and ln 10 nats: differences of it are
    ratios of scores. A run that has diverged by then has 0, the score of a single image.
    """
    column = f"average {SCORE}" if average else SCORE
    ended, known = rows["state"][0] == "diverged", np.isfinite(rows[column])
    marks = rows[axis][known]
    if ended and (not len(marks) or at > marks.max()):
        return 0.0
    if not len(marks):
        raise NotTested(f"there is no {column}")
    return float(np.interp(at, marks, np.log(rows[column][known])))


def lead(name: str, other: str, axis: Axis, at: float) -> Callable[[Table], float]:
    """By how much the one arm's information exceeds the other's in one seed."""
    return lambda rows: information(arm(rows, name), axis, at) - information(arm(rows, other), axis, at)


def leads(name: str, other: str, marks: Sequence[float]) -> Callable[[Table], list[float]]:
    """The same after each of these numbers of updates."""
    return lambda rows: [lead(name, other, "step", at)(rows) for at in marks]


def widest(values: np.ndarray) -> float:
    """The largest over marks of the distance between two arms' means, from differences (seeds, marks)."""
    return float(np.abs(values.mean(0)).max())


def highest(values: np.ndarray) -> float:
    """The largest over marks of the mean over seeds, (seeds, marks)."""
    return float(values.mean(0).max())


def effect(factors: Sequence[int], axis: Axis, at: float) -> Callable[[Table], float]:
    """The effect of a factor, or the interaction of several, on the information at a mark, in one seed.

    1/4 sum over the eight arms of prod_{f in factors} s_f times the outcome, s_f = +1 where the factor is present and
    -1 where it is not: of one factor, the mean with it less the mean without it (Box, Hunter and Hunter 1978).
    """

    def contrast(rows: Table) -> float:
        total = 0.0
        for levels, name in FACTORIAL.items():
            sign = math.prod(2 * levels[f] - 1 for f in factors)
            total += sign * information(arm(rows, name), axis, at)
        return total / 4

    return contrast


def effect_name(factors: Sequence[int]) -> str:
    return " x ".join(FACTORS[f] for f in factors)


def moment_ratios(name: str, other: str, player: str, marks: Sequence[float]) -> Callable[[Table], list[float]]:
    """log of the one arm's second moment over the other's, after each of these numbers of updates, in one seed."""
    column = f"{player} second moment"

    def ratios(rows: Table) -> list[float]:
        one, two = (_at(arm(rows, which), column, marks) for which in (name, other))
        with np.errstate(divide="ignore"):
            return (np.log(one) - np.log(two)).tolist()

    return ratios


def middle_ratio(name: str, player: str) -> Callable[[Table], float]:
    """The median over marks of Var(variance-reduced) / Var(mini-batch), both at the same point, in one seed.

    Not a number where the run diverged.
    """

    def middle(rows: Table) -> float:
        run = arm(rows, name)
        measured = run[f"{player} ratio"][~np.isnan(run[f"{player} ratio"])]
        return float(np.median(measured)) if len(measured) and run["state"][0] != "diverged" else math.nan

    return middle


def cost_share(name: str, other: str, steps: float) -> Callable[[Table], float]:
    """What the one arm spent on so many updates, over what the other did."""

    def share(rows: Table) -> float:
        one, two = (_at(arm(rows, which), "cost", [steps])[0] for which in (name, other))
        return float(one / two)

    return share


def score_at(name: str, steps: float) -> Callable[[Table], float]:
    """One arm's Inception Score after so many updates."""
    return lambda rows: math.exp(information(arm(rows, name), "step", steps))


def own_information(name: str, axis: Axis, at: float) -> Callable[[Table], float]:
    return lambda rows: information(arm(rows, name), axis, at)


def best_information(names: Sequence[str], steps: float) -> Callable[[Table], float]:
    """The largest information of all of these arms that a seed has played, after so many updates."""
    return lambda rows: max(
        information(arm(rows, name), "step", steps)
        for name in names
        if len(rows.where(arm=name)) and rows.where(arm=name)["step"].max() >= steps
    )


def _at(rows: Table, column: str, marks: Sequence[float]) -> Any:
    """A column at given numbers of updates; after a divergence, not a number."""
    found = dict(zip(rows["step"].tolist(), rows[column].tolist(), strict=True))
    return np.array([found.get(float(mark), math.nan) for mark in marks])
