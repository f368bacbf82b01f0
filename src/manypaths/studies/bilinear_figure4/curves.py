"""The nine curves of SVRE's Figure 4, as published and as drawn here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.statistics import median_interval
from manypaths.experiments.tables import Table
from manypaths.studies.bilinear_figure4.runs import RUNS_PER_MEAN


@dataclass(frozen=True)
class Curve:
    """One line of the figure: a method, read at its last iterate or at its average.

    ``published``: the authors' mean over 5 runs of ||x - x*|| + ||y - y*|| at 100, 200, ... 600 passes as plotted,
    printed by their notebook (one run for SE).
    """

    method: str
    read: str
    published: tuple[float, ...]
    runs: int = RUNS_PER_MEAN


CURVES = {
    "AVG-AltSGD": Curve("AltSGD", "average", (12.9, 14.8, 15.6, 15.1, 16.1, 14.0)),
    "AVG-SVRE, no restart": Curve("SVRE p=0", "average", (2.70, 1.75, 1.55, 2.38, 2.12, 2.12)),
    "SVRE p=1/2": Curve("SVRE p=1/2", "last", (10.9, 5.11, 2.57, 1.34, 0.655, 0.314)),
    "SVRE p=1/20": Curve("SVRE p=1/20", "last", (7.05, 0.387, 0.030, 7.3e-3, 7.3e-4, 4.6e-4)),
    "SVRE p=1/10": Curve("SVRE p=1/10", "last", (5.60, 0.532, 0.032, 3.4e-3, 5.0e-4, 2.5e-5)),
    "SVRE-VRAd p=1/10": Curve("SVRE-VRAd", "last", (2.88, 0.289, 0.031, 2.0e-3, 1.8e-4, 2.2e-6)),
    "SVRE-A p=1/10": Curve("SVRE-A", "last", (1.8e3, 1.3e3, 1.9e3, 2.2e3, 1.8e3, 2.1e3)),
    "SVRE, last iterate, no restart": Curve("SVRE p=0", "last", (24.5, 37.8, 58.1, 69.8, 97.9, 107.0)),
    "stochastic extragradient": Curve("SE", "last", (2.9e2, 2.6e3, 2.3e4, 1.9e5, 1.6e6, 1.4e7), runs=1),
}
MARKS = (100, 200, 300, 400, 500, 600)


def draw(table: Table) -> Any:
    """Medians with their 95 % interval (dark) and the 5 % to 95 % band over repetitions (light), on both cost axes.

    The published means are points.
    """
    figure, panels = canvas(2, height=5.2, sharey=True)
    for k, (name, curve) in enumerate(CURVES.items()):
        colour = (*COLOURS, "#999999", "#7F3C8D")[k]
        rows = table.where(method=curve.method)
        marks = np.unique(rows["plotted"])
        values = _by_game(rows, curve.read)
        low, middle, high = np.quantile(values, (0.05, 0.5, 0.95), axis=(1, 2))
        interval = median_interval(values)
        true = np.array([np.median(rows.where(plotted=mark)["passes"]) for mark in marks])
        for panel, cost in zip(panels, (marks, true), strict=True):
            panel.plot(cost, middle, color=colour, linewidth=1.0, label=name)
            panel.fill_between(cost, low, high, color=colour, alpha=0.12, linewidth=0)
            panel.fill_between(cost, *interval, color=colour, alpha=0.4, linewidth=0)
            panel.set_yscale("log")
        shown = [(mark, value) for mark, value in zip(MARKS, curve.published, strict=True) if mark <= marks[-1]]
        panels[0].plot([m for m, _ in shown], [v for _, v in shown], "o", color=colour, markersize=3.5)
    panels[0].set(xlabel="passes as plotted in the paper", ylabel="||x - x*|| + ||y - y*||", ylim=(1e-8, 1e9))
    panels[1].set(xlabel="passes in gradient evaluations, snapshots included")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _by_game(rows: Table, read: str) -> np.ndarray:
    """The distances as (marks, games, repetitions)."""
    marks, repetitions = len(np.unique(rows["plotted"])), len(np.unique(rows["run"])) // len(np.unique(rows["game"]))
    order = np.lexsort([rows["run"], rows["plotted"]])
    return rows[read][order].reshape(marks, -1, repetitions)
