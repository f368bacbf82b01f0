"""P2.8: larger batches at equal numbers of updates and at equal cost, beside variance reduction at the same cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from manypaths.data.digits import Digits
from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell
from manypaths.experiments.claims import Claim, above
from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.statistics import Bootstrap, lead_of_the_last
from manypaths.experiments.tables import Table
from manypaths.specs import Spec
from manypaths.studies.svre_mnist import results
from manypaths.studies.svre_mnist.runs import ARMS, TINY, Setup, cell, on_mnist

MULTIPLES = (1, 2, 4, 8)
PLAIN, REDUCED = "SE-A", "SVRE-A"
SPREAD = {"score": 0.15, "slope": 0.05}
"""Assumed standard deviations over seeds, of a difference of log scores and of their slope per doubling."""
SCORES = {"inception score": "Inception Score", "frechet": "Frechet distance"}


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a scale plays.

    Attributes:
        setup: data, networks, scores.
        seeds: how many.
        batch: the smallest batch; it is the unit of cost.
        steps: updates of the largest batch, and those after which all are compared per update. At equal cost the batch
            that is k times as large takes 8 / k times as many.
    """

    setup: Setup
    seeds: int
    batch: int
    steps: int

    @property
    def cost(self) -> float:
        """Mini-batch gradients of each player that every run spends."""
        return float(ARMS[PLAIN].asks * MULTIPLES[-1] * self.steps)


SIZES = {
    "smoke": Size(
        setup=TINY,
        seeds=2,
        batch=4,
        steps=2,
    ),
    "laptop": Size(
        setup=Setup(
            data=Spec(Digits), side=8, images=1797, latent=32, generator=16, critic=16, net="digits-cnn", samples=2000
        ),
        seeds=8,
        batch=16,
        steps=1000,
    ),
    "paper": Size(
        setup=on_mnist(images=60_000, generator=128, critic=64, net="mnist-cnn", samples=5000),
        seeds=3,
        batch=50,
        steps=5000,
    ),
}


def study() -> Study:
    """What do batches 2, 4 and 8 times as large bring per update and at equal cost, beside SVRE at that cost? (P2.8)"""
    return Study(
        name="batch-size",
        question="What do batches 2, 4 and 8 times as large bring at equal numbers of updates and at equal cost, and "
        "what does variance reduction bring at that cost?",
        cells=cells,
        claims=claims,
        ready=lambda scale: SIZES[scale].setup.ready(),
        figures={"batch-size": draw},
    )


def name_of_arm(multiple: int) -> str:
    return f"{PLAIN} x{multiple}"


# ---- cells -------------------------------------------------------------------------------------------------------


def cells(scale: str) -> list[Cell]:
    size = SIZES[scale]
    made = []
    for seed in range(size.seeds):
        made += [_cell(size, PLAIN, multiple, seed) for multiple in MULTIPLES]
        made.append(_cell(size, REDUCED, 1, seed))
    return made


def _cell(size: Size, name: str, multiple: int, seed: int) -> Cell:
    chosen, batch, every = ARMS[name], size.batch * multiple, max(1, size.steps // 2)
    each = chosen.cost(size.setup.images // batch) * multiple
    more = 1.1 if name == REDUCED else 1.0  # snapshots come by chance, and few of them leave a run short of the mark
    steps = math.ceil(more * size.cost / each)
    recipe = size.setup.recipe(chosen, batch=batch, steps=steps, every=every, seed=seed)
    labels = {"arm": name if name == REDUCED else name_of_arm(multiple), "batch": batch}
    marks = {"equal_steps": size.steps, "equal_cost": size.cost}
    seconds = size.setup.seconds(chosen, batch=batch, steps=steps, every=every)
    return cell(recipe, {**labels, **marks}, batch=size.batch, cost=steps * each, seconds=seconds)


# ---- claims ------------------------------------------------------------------------------------------------------


def claims(scale: str) -> list[Claim]:
    size = SIZES[scale]
    return [*_larger(size), _beside(size)]


def _larger(size: Size) -> Iterator[Claim]:
    most = MULTIPLES[-1]
    places: list[tuple[results.Axis, float, str, str]] = [
        ("step", size.steps, f"after {size.steps:,} updates", ""),
        ("cost", size.cost, f"after {size.cost:,g} gradients of {size.batch} samples", " (the paper does not say)"),
    ]
    for axis, at, where, said in places:
        equal = "equal updates" if axis == "step" else "equal cost"
        yield Claim(
            name=f"P2.8 {equal}",
            statement=f"{where} a batch {most} times as large scores above the smallest{said} (mean difference of log "
            "Inception Scores)",
            statistic=_bootstrap(size, results.lead(name_of_arm(most), name_of_arm(1), axis, at), "score"),
            expected=above(0.0),
        )
        yield Claim(
            name=f"P2.8 {equal}, per doubling",
            statement=f"{where} the log Inception Score rises with every doubling of the batch{said} (mean slope)",
            statistic=_bootstrap(size, slope(axis, at), "slope"),
            expected=above(0.0),
        )


def _beside(size: Size) -> Claim:
    return Claim(
        name="P2.8 SVRE, equal cost",
        statement=f"after {size.cost:,g} gradients of {size.batch} samples {REDUCED} with the smallest batch scores "
        f"above {PLAIN} with the best of the four (difference of mean log Inception Scores)",
        statistic=_bootstrap(size, at_equal_cost(size.cost), "score", lead_of_the_last),
        expected=above(0.0),
    )


def slope(axis: results.Axis, at: float) -> Callable[[Table], float]:
    """The rise of the log score per doubling of the batch, by least squares, in one seed."""

    def rise(rows: Table) -> float:
        values = [results.information(results.arm(rows, name_of_arm(k)), axis, at) for k in MULTIPLES]
        return float(np.polyfit(np.log2(MULTIPLES), values, 1)[0])

    return rise


def at_equal_cost(cost: float) -> Callable[[Table], list[float]]:
    """The log scores of the four batches, and last that of variance reduction, in one seed."""
    arms = [*map(name_of_arm, MULTIPLES), REDUCED]
    return lambda rows: [results.information(results.arm(rows, name), "cost", cost) for name in arms]


def _bootstrap(size: Size, per_seed: Callable[[Table], Any], spread: str, summary: Any = np.mean) -> Bootstrap:
    return Bootstrap(per_seed=per_seed, summary=summary, n=size.seeds, spread=SPREAD[spread])


# ---- the figure --------------------------------------------------------------------------------------------------


def draw(table: Table) -> Any:
    """Scores against the batch at equal updates and at equal cost: a point per seed and the means."""
    steps, cost = float(table["equal_steps"][0]), float(table["equal_cost"][0])
    names = [name for name in SCORES if name in table]
    figure, panels = canvas(2, len(names), height=2.8)
    for row, name in enumerate(names):
        for column, (axis, at) in enumerate((("step", steps), ("cost", cost))):
            panel = panels[2 * row + column]
            for arm, colour in ((PLAIN, COLOURS[0]), (REDUCED, COLOURS[1])):
                _draw_arm(panel, table, arm, (axis, at, name), colour)
            panel.set_xscale("log", base=2)
            panel.set(yscale="log" if name == "frechet" else "linear", ylabel=SCORES[name] if not column else "")
            batches = np.unique(table["batch"]).tolist()
            panel.set_xticks(batches, [f"{batch:g}" for batch in batches])
            panel.set(xlabel="batch" if row == len(names) - 1 else "")
            if row == 0:
                panel.set_title(f"after {at:,.0f} updates" if axis == "step" else f"after {at:,.0f} gradients")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _draw_arm(panel: Any, table: Table, arm: str, what: tuple[str, float, str], colour: str) -> None:
    axis, at, name = what
    means = {}
    for (batch, label), rows in table.groups("batch", "arm"):
        if label.startswith(arm):
            found = np.array([_read(run, axis, at, name) for _, run in rows.groups("seed")])
            panel.plot(np.full(len(found), batch), found, "o", color=colour, markersize=3, alpha=0.4)
            means[batch] = np.nanmean(found) if np.isfinite(found).any() else np.nan
    order = sorted(means)
    panel.plot(order, [means[batch] for batch in order], "o-", color=colour, label=arm, linewidth=1.3)


def _read(run: Table, axis: str, at: float, name: str) -> float:
    """A score of one run at a mark; none of a run that diverged on the way."""
    known = np.isfinite(run[name])
    if run["state"][0] == "diverged" or not known.any():
        return float("nan")
    return float(np.interp(at, run[axis][known], run[name][known]))
