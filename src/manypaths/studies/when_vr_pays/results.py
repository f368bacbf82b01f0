"""What ``when_vr_pays`` reads off its table: ratios at an age, ages at a ratio, and what equal cost buys."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from manypaths.experiments.tables import Table
from manypaths.games.adversarial import PLAYERS
from manypaths.studies.when_vr_pays.runs import WHOLE

TINY, HUGE = 1e-12, 1e12
"""Between these a ratio is believed: at the snapshot it is 0, and infinite beside mini-batches without noise."""


def curve(rows: Table, player: str, phase: str, layer: str = WHOLE) -> tuple[np.ndarray, np.ndarray]:
    """One seed's ages in mini-batches, and the ratios at them."""
    found = rows.where(player=player, phase=phase, layer=layer)
    order = np.argsort(found["age"])
    return found["age"][order].astype(float), np.clip(found["ratio"][order].astype(float), TINY, HUGE)


def log2_at(ages: np.ndarray, ratios: np.ndarray, age: float) -> float:
    """log2 of the ratio at an age; between the ages measured it is linear in log age."""
    return float(np.interp(math.log(age), np.log(ages), np.log2(ratios)))


def largest(player: str, phase: str) -> Callable[[Table], float]:
    """log2 of the largest ratio at ages up to one epoch, of one seed."""

    def read(rows: Table) -> float:
        ages, ratios = curve(rows, player, phase)
        epoch = float(rows["epoch"][0])
        return float(max([log2_at(ages, ratios, epoch), *np.log2(ratios[ages <= epoch])], key=_nan_first))

    return read


def _nan_first(value: float) -> float:
    return math.inf if math.isnan(value) else value


def after_an_epoch(player: str, phase: str, setting: str, other: str) -> Callable[[Table], float]:
    """log2 of the ratio at the age of one epoch in one setting, less that in another, of one seed."""

    def read(rows: Table) -> float:
        one, two = (_at_an_epoch(rows.where(setting=name), player, phase) for name in (setting, other))
        return one - two

    return read


def _at_an_epoch(rows: Table, player: str, phase: str) -> float:
    return log2_at(*curve(rows, player, phase), float(rows["epoch"][0]))


def crossing(ages: np.ndarray, ratios: np.ndarray, level: float = 1.0) -> float:
    """The age at which the ratio first comes to the level, linear in the logarithms; infinite where it never does."""
    above = np.flatnonzero(ratios >= level)
    if not len(above):
        return math.nan if np.isnan(ratios).any() else math.inf
    i = int(above[0])
    if i == 0:
        return float(ages[0])
    if np.isnan(ratios[i - 1]):
        return math.nan
    x, y = np.log(ages[i - 1 : i + 1]), np.log(ratios[i - 1 : i + 1])
    share = (math.log(level) - y[0]) / (y[1] - y[0])
    return float(np.exp(x[0] + share * (x[1] - x[0])))


def price(ages: np.ndarray, ratios: np.ndarray, epoch: float, *, evaluations: int = 2) -> np.ndarray:
    """What SVRG's variance comes to at equal cost, for a snapshot that is taken anew at each of the ages T:

        c(T) = (mean ratio at ages up to T) * k (n - 1) / (n - k),  k = 2 + n / T,

    with n mini-batches in an epoch. A draw takes two evaluations (one with stored gradients) and its share of the full
    pass, k in all. k mini-batches drawn without replacement cost as much, and their mean has (n - k) / (k (n - 1)) of
    the variance of one; from k = n on they are all there are, and the price is infinite. Variance reduction pays where
    c(T) < 1. The ratio is 0 at age 0 and linear between the ages measured.
    """
    x, y = np.concatenate([[0.0], ages]), np.concatenate([[0.0], ratios])
    area = np.cumsum(np.diff(x) * (y[1:] + y[:-1]) / 2)
    k = evaluations + epoch / ages
    return np.where(k < epoch, area / ages * k * (epoch - 1) / np.maximum(epoch - k, TINY), math.inf)


def best_price(player: str, phase: str, *, evaluations: int = 2) -> Callable[[Table], float]:
    """log2 of the least price over the ages, of one seed; below 0 variance reduction pays."""

    def read(rows: Table) -> float:
        ages, ratios = curve(rows, player, phase)
        epoch = float(rows["epoch"][0])
        return float(np.log2(np.min(price(ages, ratios, epoch, evaluations=evaluations))))

    return read


# ---- at equal cost -----------------------------------------------------------------------------------------------


def log_end(rows: Table, arm: str) -> float:
    """The logarithm of the score that an arm's budget ends with, lower is better; infinite where the run diverged."""
    run = rows.where(arm=arm)
    if run["state"][0] == "diverged":
        return math.inf
    scores = run["score"][~np.isnan(run["score"])]
    return float(np.log(scores[-1])) if len(scores) else math.nan


def gain(arm: str, other: str) -> Callable[[Table], float]:
    """log of the one arm's final score less the other's, of one seed; 0 where both diverged."""

    def read(rows: Table) -> float:
        one, two = log_end(rows, arm), log_end(rows, other)
        return 0.0 if math.isinf(one) and math.isinf(two) else one - two

    return read


def mean_ratio(arm: str, player: str | None = None) -> Callable[[Table], float]:
    """A player's ratio, averaged over the run, of one seed; of the player with the larger one by default.

    Not a number where the run diverged, for what it would have come to is not known.
    """

    def read(rows: Table) -> float:
        run = rows.where(arm=arm)
        found = [run[f"ratio_{name}"].astype(float) for name in (PLAYERS if player is None else (player,))]
        measured = [ratios[~np.isnan(ratios)] for ratios in found]
        if run["state"][0] == "diverged" or not all(map(len, measured)):
            return math.nan
        return max(float(ratios.mean()) for ratios in measured)

    return read


def per_seed(table: Table, read: Callable[[Table], float]) -> np.ndarray:
    """One number per seed."""
    return np.array([read(rows) for _, rows in table.groups("seed")])
