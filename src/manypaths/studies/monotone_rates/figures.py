"""The figures of ``monotone-rates``."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.tables import Table
from manypaths.studies.monotone_rates.results import COMPARED, costs
from manypaths.studies.monotone_rates.runs import FAMILIES, METHODS, TARGET


def draw_map(table: Table) -> Any:
    """Who needs the fewest evaluations with tuned steps, how many, and how many times that the next one needs."""
    from matplotlib.patches import Rectangle

    tuned = table.where(step_size="tuned")
    figure, panels = canvas(len(FAMILIES), height=3.6)
    for panel, family in zip(panels, FAMILIES, strict=True):
        rows = tuned.where(family=family)
        sizes, conditioning = np.unique(rows["n"]), np.unique(rows["conditioning"])
        for (i, n), (j, x) in product(enumerate(sizes), enumerate(conditioning)):
            found = costs(rows, n=n, conditioning=x, noise=1.0)
            (winner, best), (_, second), *_ = sorted(found.items(), key=lambda item: item[1])
            colour = COLOURS[COMPARED.index(winner)]
            panel.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, alpha=0.45, edgecolor="white"))
            panel.text(j, i, f"{best:,.0f}\nx {second / best:.1f}", ha="center", va="center", fontsize=8)
        panel.set(xlim=(-0.5, len(conditioning) - 0.5), ylim=(-0.5, len(sizes) - 0.5), title=family, xlabel="L / mu")
        panel.set_xticks(range(len(conditioning)), [f"{x:g}" for x in conditioning])
        panel.set_yticks(range(len(sizes)), [f"{n:g}" for n in sizes])
        panel.grid(False)
    panels[0].set_ylabel("n")
    handles = [Rectangle((0, 0), 1, 1, facecolor=c, alpha=0.45) for c, _ in zip(COLOURS, COMPARED, strict=False)]
    figure.legend(handles, [METHODS[name].title for name in COMPARED], loc="outside lower center", ncols=4, fontsize=9)
    figure.suptitle("fewest evaluations per player, and the runner-up's multiple", fontsize=10)
    return figure


def draw_cost(table: Table) -> Any:
    """Evaluations against L / mu at the smallest n: tuned steps (solid) and theoretical ones (dashed)."""
    smallest = table.where(n=table["n"].min(), noise=1.0)
    figure, panels = canvas(len(FAMILIES), height=3.8, sharey=True)
    for panel, family in zip(panels, FAMILIES, strict=True):
        for colour, name in zip(COLOURS, COMPARED, strict=False):
            for step_size, style in (("tuned", "o-"), ("theory", "s--")):
                rows = smallest.where(family=family, step_size=step_size, method=name)
                x = np.unique(rows["conditioning"])
                middle = [np.median(rows.where(conditioning=value)["cost"]) for value in x]
                label = METHODS[name].title + ("" if step_size == "tuned" else ", theoretical steps")
                panel.plot(x, middle, style, color=colour, label=label, markersize=4)
        panel.set(xscale="log", yscale="log", title=family, xlabel="L / mu")
        shown = np.unique(smallest.where(family=family)["conditioning"])
        panel.set_xticks(shown, [f"{x:g}" for x in shown], minor=False)
        panel.set_xticks([], minor=True)
    panels[0].set_ylabel(f"evaluations per player to {TARGET:g}")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure
