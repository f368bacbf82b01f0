"""What ``when_vr_pays`` recommends: two tables, computed from its results."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from manypaths.studies.statistics import Estimate, bootstrap_interval
from manypaths.studies.tables import Table
from manypaths.studies.vr_results import best_price, crossing, curve, gain, log_end, mean_ratio, per_seed, price
from manypaths.studies.vr_runs import ARMS, PLAYERS, RACES, SETTINGS

LATE = "late"


def advice(table: Table) -> str:
    """Markdown: what to do at each setting, and what each method came to at equal cost."""
    titles = "## When to reduce variance", "## At equal cost"
    return "\n".join([titles[0], "", *_settings(table), "", titles[1], "", *_races(table), ""])


# ---- settings ----------------------------------------------------------------------------------------------------


def _settings(table: Table) -> list[str]:
    measured = table.where(function="ages")
    lines = [
        "Late in training; medians over seeds of ages, geometric means of prices with 95 % intervals. The price is",
        "SVRG's variance over that of a larger mini-batch of the same cost, at the age of refresh where it is least.",
        "",
        "| setting | mini-batches in an epoch | age at which the ratio passes 1: critic, generator | price: critic "
        "| price: generator | advice |",
        "|---|---|---|---|---|---|",
    ]
    for setting in map(str, SETTINGS):
        rows = measured.where(setting=setting)
        if not len(rows):
            continue
        ages = ", ".join(_age(rows, player) for player in PLAYERS)
        prices = {player: _price(rows, player) for player in PLAYERS}
        cells = [setting, f"{rows['epoch'][0]:g}", ages, *map(_interval, prices.values()), recommend(rows, prices)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def recommend(rows: Table, prices: dict[str, Estimate]) -> str:
    """What the intervals of both players' prices allow to say."""
    pays = {player: _pays(estimate) for player, estimate in prices.items()}
    if all(pays.values()):
        return f'reduce: a snapshot every {best_age(rows, PLAYERS):g} mini-batches, or `refresh="adaptive"`'
    for player, other in (PLAYERS, PLAYERS[::-1]):
        if pays[player] and pays[other] is False:
            return f'reduce for the {player} alone (`when="helps"`): every {best_age(rows, (player,)):g} mini-batches'
    if all(answer is False for answer in pays.values()):
        return "do not: take larger mini-batches"
    return "undecided"


def _pays(estimate: Estimate) -> bool | None:
    if estimate.high < 1:
        return True
    return False if estimate.low > 1 else None


def best_age(rows: Table, players: tuple[str, ...]) -> float:
    """The age measured at which the mean log price of the worse of the players is least."""
    worst: list[np.ndarray] = []
    ages = np.ones(1)
    for player in players:
        logs = []
        for _, seed in rows.groups("seed"):
            ages, ratios = curve(seed, player, LATE)
            logs.append(np.log(price(ages, ratios, float(seed["epoch"][0]))))
        worst.append(np.mean(logs, axis=0))
    return float(ages[int(np.argmin(np.max(worst, axis=0)))])


def _age(rows: Table, player: str) -> str:
    found = per_seed(rows, lambda seed: crossing(*curve(seed, player, LATE)))
    if np.isnan(found).any():
        return "-"
    middle = float(np.median(found))
    return f"{middle:.0f}" if math.isfinite(middle) else f"> {rows['age'].max():g}"


def _price(rows: Table, player: str) -> Estimate:
    return _power(2.0, per_seed(rows, best_price(player, LATE)))


# ---- equal cost --------------------------------------------------------------------------------------------------


def _races(table: Table) -> list[str]:
    lines = [
        "The score that the budget ends with (lower is better), and its ratio to plain SE's of the same seed:",
        "geometric means with 95 % intervals; the variance ratio averaged over the run, the median over seeds; steps",
        "that the budget affords.",
        "",
        "| setting | method | score | over plain SE's | mean ratio: critic, generator | steps | diverged |",
        "|---|---|---|---|---|---|---|",
    ]
    played = table.where(function="race")
    for setting, title in RACES.items():
        rows = played.where(setting=str(setting))
        present = set(rows["arm"].tolist())
        for arm in (name for name in ARMS if name in present):
            own = rows.where(arm=arm)
            ratios = "-"
            if ARMS[arm].reduces:
                means = [np.median(per_seed(rows, mean_ratio(arm, player))) for player in PLAYERS]
                ratios = ", ".join(f"{value:.2g}" for value in means)
            seeds = own.groups("seed")
            lost = sum(run["state"][0] == "diverged" for _, run in seeds)
            steps = np.median([run["step"].max() for _, run in seeds])
            against = "1" if arm == "mini-batch" else _interval(_power(math.e, per_seed(rows, gain(arm, "mini-batch"))))
            score = _interval(_power(math.e, per_seed(rows, _end(arm))))
            cells = [title, ARMS[arm].title, score, against, ratios, f"{steps:,.0f}", f"{lost} of {len(seeds)}"]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _end(arm: str) -> Callable[[Table], float]:
    return lambda rows: log_end(rows, arm)


def _power(base: float, logs: np.ndarray) -> Estimate:
    """The geometric mean and its interval."""
    with np.errstate(invalid="ignore", over="ignore"):
        found = bootstrap_interval(logs, np.mean)
        low, middle, high = (float(np.power(base, value)) for value in (found.low, found.value, found.high))
    return Estimate(middle, low, high)


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"
