"""The figures of ``svre_stability``."""

from __future__ import annotations

from typing import Any

import numpy as np

from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.statistics import binomial_interval
from manypaths.experiments.tables import Table
from manypaths.studies.svre_stability.results import diverged, lost, run_of, would_show
from manypaths.studies.svre_stability.runs import FACTORS, METHODS, RATIOS

FINE, LOST = COLOURS[0], COLOURS[1]


def draw_shares(table: Table) -> Any:
    """The share of settings at which each method diverges, with its exact interval; a panel per kind of networks.

    Beside it: how many of these became non-finite, and at how many a divergence would have shown.
    """
    nets = _nets(table)
    figure, panels = canvas(len(nets), height=3.0, sharey=True)
    for panel, net in zip(panels, nets, strict=True):
        settings = [rows for _, rows in table.where(net=net).groups("setting")]
        for row, method in enumerate(METHODS):
            runs = [run_of(rows, method) for rows in settings]
            gone, broken = sum(map(diverged, runs)), sum(map(lost, runs))
            shows = sum(map(would_show(method), settings))
            share = binomial_interval(gone, len(settings))
            panel.plot([share.low, share.high], [row, row], color=COLOURS[0], linewidth=3, alpha=0.35)
            panel.plot(share.value, row, "o", color=COLOURS[0])
            said = f"{gone} of {len(settings)}, {broken} not finite;\nwould show at {shows}"
            panel.text(1.02, row, said, va="center", fontsize=7)
        panel.set(xlim=(0, 1), xlabel="share of settings that diverge", title=f"{net} networks")
        panel.set_yticks(range(len(METHODS)), [about.title for about in METHODS.values()])
    panels[0].invert_yaxis()
    return figure


def draw_settings(table: Table) -> Any:
    """Which settings a method diverges at (empty points), over both learning rates; a row per kind of networks."""
    nets = _nets(table)
    figure, panels = canvas(len(METHODS), len(nets), height=1.9, sharey=True)
    places = [(net, method) for net in nets for method in METHODS]
    for panel, (net, method) in zip(panels, places, strict=True):
        for _, rows in table.where(net=net).groups("setting"):
            colour, face = (LOST, "white") if diverged(run_of(rows, method)) else (FINE, FINE)
            panel.plot(rows["factor"][0], rows["ratio"][0], "o", color=colour, markerfacecolor=face, markersize=4)
        panel.set(xscale="log", yscale="log")
        for axis, (low, high) in ((panel.xaxis, FACTORS), (panel.yaxis, RATIOS)):
            middle = (low * high) ** 0.5
            axis.set_ticks([low, middle, high], [f"{value:g}" for value in (low, middle, high)])
            axis.set_ticks([], minor=True)
        panel.set(xlim=(0.8 * FACTORS[0], 1.25 * FACTORS[1]), ylim=(0.8 * RATIOS[0], 1.25 * RATIOS[1]))
        panel.set_title(METHODS[method].title, fontsize=7)
        panel.tick_params(labelsize=7)
    for i, net in enumerate(nets):
        panels[i * len(METHODS)].set_ylabel(f"{net}: critic / generator", fontsize=8)
    figure.supxlabel("learning rates, in units of the recipe's", fontsize=9)
    return figure


def draw_courses(table: Table) -> Any:
    """Every run's score on its way through the budget; diverged ones in colour, to where they were last finite."""
    nets = _nets(table)
    figure, panels = canvas(len(METHODS), len(nets), height=1.9, sharey=True)
    places = [(net, method) for net in nets for method in METHODS]
    for panel, (net, method) in zip(panels, places, strict=True):
        unseen = 0
        for _, rows in table.where(net=net).groups("setting"):
            run = run_of(rows, method)
            gone = diverged(run)
            unseen += not np.isfinite(run["score"].astype(float)).any()
            share = run["evaluations"].astype(float) / float(run["budget"][0])
            colour = LOST if gone else "#888888"
            style = {"color": colour, "linewidth": 0.9, "markersize": 2, "alpha": 0.9 if gone else 0.6}
            panel.plot(share, run["score"].astype(float), ".-", **style)
        panel.set(yscale="log", xlim=(0, 1.05))
        panel.set_title(METHODS[method].title + (f"\n{unseen} lost unscored" if unseen else ""), fontsize=7)
        panel.tick_params(which="both", labelsize=7)
    for i, net in enumerate(nets):
        panels[i * len(METHODS)].set_ylabel(f"{net}: score", fontsize=8)
    figure.supxlabel("share of the budget", fontsize=9)
    return figure


def _nets(table: Table) -> list[str]:
    return list(np.unique(table["net"].astype(str)))[::-1]
