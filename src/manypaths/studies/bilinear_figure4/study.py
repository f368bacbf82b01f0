"""P2.2: the stochastic bilinear game of SVRE's Figure 4, with hundreds of repetitions instead of five."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell
from manypaths.experiments.claims import Claim, above, within
from manypaths.experiments.statistics import Bootstrap
from manypaths.experiments.tables import Table
from manypaths.studies.bilinear_figure4.curves import CURVES, MARKS, draw
from manypaths.studies.bilinear_figure4.runs import METHODS, RUNS_PER_MEAN, N

RUNS = "manypaths.studies.bilinear_figure4.runs"
GAMES = {"smoke": 2, "laptop": 10, "paper": 40}
REPETITIONS = {"smoke": 10, "laptop": 50, "paper": 50}
"""Per game."""
PASSES = {"smoke": 20, "laptop": 600, "paper": 600}
"""As plotted: an iteration counts the evaluations of one player at the current iterate, 2 of them for extragradient."""
SECONDS_PER_ITERATION, SECONDS_PER_REPLICA_ITERATION = 6e-4, 5e-5


def study() -> Study:
    """Does SVRE's Figure 4, the stochastic bilinear game, come out with enough repetitions? (P2.2)"""
    return Study(
        name="bilinear-figure4",
        question="Do the nine curves of SVRE's Figure 4 come out, and in their order, with enough repetitions?",
        cells=cells,
        claims=claims,
        figures={"figure4": draw},
    )


def cells(scale: str) -> list[Cell]:
    passes, repetitions = PASSES[scale], REPETITIONS[scale]
    made = []
    for game, (name, method) in product(range(GAMES[scale]), METHODS.items()):
        iterations = passes * N // method.evaluations
        each = 5.0 if method.variance_reduced else float(method.evaluations)
        settings = {"method": name, "game": game, "repetitions": repetitions, "budget": passes, "every": 10}
        cost = 2 * each * iterations * repetitions
        seconds = SECONDS_PER_REPLICA_ITERATION if method.plain_svre else SECONDS_PER_ITERATION
        made.append(Cell(f"{RUNS}:played", settings, evaluations=cost, seconds=seconds * iterations))
    return made


def claims(scale: str) -> list[Claim]:
    """The order of the curves, and each curve's published mean inside the 90 % band of our means at the last mark."""
    passes = PASSES[scale]
    made = [
        Claim(
            name="P2.2 order",
            statement="the nine curves end in the published order, up to one exchange of neighbours (Kendall's tau)",
            statistic=Bootstrap(
                per_seed=final_medians, summary=order_agreement, n=GAMES[scale], spread=0.1, by="game", resamples=500
            ),
            expected=above(1 - 2 * 1.5 / 36),
            assumed=1.0,
        )
    ]
    for name, curve in CURVES.items() if passes == MARKS[-1] else ():
        runs = GAMES[scale] * REPETITIONS[scale] // curve.runs
        made.append(
            Claim(
                name=f"P2.2 {name}",
                statement=f"{name}: the published mean at {MARKS[-1]} passes lies in the 90 % band of our means of "
                f"{curve.runs}",
                statistic=Bootstrap(
                    per_seed=_final_mean(curve.read),
                    summary=_rank_of(curve.published[-1]),
                    n=runs,
                    spread=0.5,
                    by="group" if curve.runs == RUNS_PER_MEAN else "run",
                    where={"method": curve.method, "plotted": MARKS[-1]},
                ),
                expected=within(0.45, of=0.5),
                assumed=0.5,
            )
        )
    return made


def final_medians(table: Table) -> list[float]:
    """The medians over repetitions of the log distances of the nine curves at the last mark, on one game."""
    last = table.where(plotted=table["plotted"].max())
    return [float(np.median(np.log(last.where(method=c.method)[c.read]))) for c in CURVES.values()]


def order_agreement(medians: np.ndarray) -> float:
    """Kendall's tau between the curves' median ends and the published ones."""
    from scipy.stats import kendalltau

    agreement: Any = kendalltau(medians.mean(0), [curve.published[-1] for curve in CURVES.values()])
    return float(agreement.statistic)


def _final_mean(read: str) -> Callable[[Table], float]:
    return lambda rows: float(rows[read].mean())


def _rank_of(value: float) -> Callable[[np.ndarray], float]:
    """The share of our means that lie below a published one."""
    return lambda means: float(np.mean(means < value))
