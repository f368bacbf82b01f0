"""What ``when_vr_pays`` recommends: two tables, computed from its results."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from manypaths.experiments.statistics import Estimate, bootstrap_interval
from manypaths.experiments.tables import Table
from manypaths.games.adversarial import PLAYERS
from manypaths.studies.when_vr_pays.results import (
    best_price,
    crossing,
    curve,
    gain,
    log_end,
    mean_ratio,
    per_seed,
    price,
)
from manypaths.studies.when_vr_pays.runs import ARMS, RACES, SETTINGS

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
        "SVRG's variance over that of as many mini-batches as it costs, at the age of refresh where it is least.",
        "",
        "| setting | mini-batches in an epoch | age at which the ratio passes 1: critic, generator | price: critic "
        "| price: generator | with stored gradients: critic | with stored gradients: generator | advice |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for setting in map(str, SETTINGS):
        rows = measured.where(setting=setting)
        ages = ", ".join(_age(rows, player) for player in PLAYERS)
        prices = [Prices(rows, evaluations) for evaluations in (2, 1)]
        shown = [_interval(estimate) for found in prices for estimate in found.estimates.values()]
        cells = [setting, f"{rows['epoch'][0]:g}", ages, *shown, recommend(*prices)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


class Prices:
    """Both players' prices at one setting, late in training."""

    def __init__(self, rows: Table, evaluations: int):
        self._rows, self._evaluations = rows, evaluations
        read = {player: best_price(player, LATE, evaluations=evaluations) for player in PLAYERS}
        self.estimates = {player: _power(2.0, per_seed(rows, read[player])) for player in PLAYERS}

    @property
    def pays(self) -> tuple[str, ...]:
        """The players for whom it is decided that variance reduction pays."""
        return tuple(player for player, estimate in self.estimates.items() if estimate.high < 1)

    @property
    def costs(self) -> tuple[str, ...]:
        """Those for whom it is decided that it does not."""
        return tuple(player for player, estimate in self.estimates.items() if estimate.low > 1)

    def best_age(self, players: Sequence[str]) -> float:
        """The age measured at which the mean log price of the worse of the players is least."""
        ages, worst = np.ones(1), []
        for player in players:
            logs = []
            for _, seed in self._rows.groups("seed"):
                ages, ratios = curve(seed, player, LATE)
                logs.append(np.log(price(ages, ratios, float(seed["epoch"][0]), evaluations=self._evaluations)))
            worst.append(np.mean(logs, axis=0))
        return float(ages[int(np.argmin(np.max(worst, axis=0)))])


def recommend(plain: Prices, stored: Prices) -> str:
    """What the intervals of the prices allow to say."""
    for prices, how in ((plain, "reduce"), (stored, "reduce, with stored gradients")):
        if len(prices.pays) == len(PLAYERS):
            return f'{how}: a snapshot every {prices.best_age(PLAYERS):g} mini-batches, or `schedule="adaptive"`'
        if prices.pays and prices.costs:
            return f"{how}, for the {prices.pays[0]} alone: every {prices.best_age(prices.pays):g} mini-batches"
    return "do not: take larger mini-batches" if len(stored.costs) == len(PLAYERS) else "undecided"


def _age(rows: Table, player: str) -> str:
    found = per_seed(rows, lambda seed: crossing(*curve(seed, player, LATE)))
    if np.isnan(found).any():
        return "-"
    middle = float(np.median(found))
    return f"{middle:.0f}" if math.isfinite(middle) else f"> {rows['age'].max():g}"


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
