"""What the runs of ``low-dimensional-manifold`` came to: arrival, rises, ends."""

from __future__ import annotations

import numpy as np

from manypaths.experiments import markdown
from manypaths.experiments.tables import Table
from manypaths.studies.many_paths import TITLES, end

REACHED = 0.05
"""The Frechet distance, over the data's total variance, at which a model has arrived. A point mass is at 1."""
OTHERS = (0.02, REACHED, 0.1, 0.2, 0.3)


def run_trains(run: Table, reached: float = REACHED) -> bool:
    return end(run) <= reached


def setting_trains(rows: Table, reached: float = REACHED) -> bool:
    """Whether most seeds of one game at one setting train."""
    found = [run_trains(run, reached) for _, run in rows.groups("seed")]
    return 2 * sum(found) > len(found)


def thresholds(table: Table) -> str:
    """Markdown: at how many settings each game trains, by what is called training; the claims are about ``REACHED``."""
    games, rows = table.where(function="robustness"), []
    for reached in OTHERS:
        counts = [
            sum(setting_trains(runs, reached) for _, runs in games.where(game=game).groups("setting"))
            for game in TITLES
        ]
        rows.append([f"{reached:g}", *counts])
    return markdown.table(["Frechet distance at most", *TITLES.values()], rows)


def course_rises(rows: Table, *, to_arrival: bool) -> tuple[float, float]:
    """Rises and intervals of all runs of a setting that train; of those before their first arrival, or of all."""
    rises = intervals = 0.0
    for _, run in rows.groups("game", "seed"):
        if not run_trains(run):
            continue
        rise = run["rise"][1:]
        if to_arrival:
            rise = rise[: int(np.argmax(run["frechet"] <= REACHED))]
        rises, intervals = rises + float(rise.sum()), intervals + len(rise)
    return rises, intervals
