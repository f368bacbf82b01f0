"""The figures of ``parallel_lines``."""

from __future__ import annotations

from typing import Any

import numpy as np

from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.tables import Table
from manypaths.studies.parallel_lines.results import ordered

SHOWN_ARMS = ("NS-GAN", "GAN-GP", "DRAGAN-NS", "WGAN", "M-GAN", "M-GAN, trained critic, plain steps")
TIMES = 5
TRACED = {"w2": "W2", "frechet": "Frechet, sampled", "jsd": "JSD, smoothed", "kl": "KL(p||q), smoothed"}
BESIDE = {"field_norm": "field norm", "gap": "local duality gap"}


def _run(table: Table, arm: str) -> Table:
    """The first seed in the plane."""
    return ordered(table.where(function="play", arm=arm, dimension=2, seed=0))


def draw_points(table: Table) -> Any:
    """The model's points at five times over the data line, one run per game, and direct minimisation of the JSD."""
    from matplotlib import colormaps

    figure, panels = canvas(4, 2, height=2.6)
    z = np.linspace(-1, 1, 15)
    descents = table.where(function="descend")
    runs = {arm: _run(table, arm) for arm in SHOWN_ARMS}
    for s in (float(descents["s"].min()), float(descents["s"].max())):
        runs[f"descent on the JSD, s = {s:g}"] = ordered(descents.where(s=s))
    colours = colormaps["viridis"](np.linspace(0.95, 0.05, TIMES))
    for panel, (name, rows) in zip(panels, runs.items(), strict=True):
        panel.plot(np.zeros(2), [-1, 1], color="#BBBBBB", linewidth=6, solid_capstyle="butt")
        for colour, k in zip(colours, np.linspace(0, len(rows) - 1, TIMES).round().astype(int), strict=True):
            x, y = (z * rows[f"a{i}"][k] + rows[f"b{i}"][k] for i in (0, 1))
            panel.plot(x, y, "o", color=colour, markersize=2.2, label=f"{k / (len(rows) - 1):.0%} of the steps")
        panel.set_title(name.replace(", plain", ",\nplain").replace("JSD, s", "JSD,\ns"), fontsize=8)
        panel.set(xlim=(-1.3, 1.7), ylim=(-1.8, 1.8))
        panel.tick_params(labelsize=7)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=TIMES, fontsize=8)
    return figure


def draw_trace(table: Table) -> Any:
    """One run of NS-GAN: divergences with their rises marked; below, field norm and local duality gap."""
    rows = _run(table, "NS-GAN")
    names = {**TRACED, **BESIDE}
    figure, panels = canvas(2, 3, height=2.2)
    for panel, (column, title), colour in zip(panels, names.items(), COLOURS, strict=False):
        read = ~np.isnan(rows[column])
        panel.plot(rows["step"][read], rows[column][read], color=colour, marker="o" if column == "gap" else None)
        if column in TRACED:
            rose = rows[f"{column}_rose"] > 0
            panel.plot(rows["step"][rose], rows[column][rose], "^", color=COLOURS[1], label="rose beyond its floor")
        if column in BESIDE or column == "kl":
            panel.set_yscale("log")
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("generator steps", fontsize=8)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center")
    return figure


def draw_signal(table: Table) -> Any:
    """The generator's gradient at the start over s: of the smoothed JSD, of NS-GAN and of M-GAN (median, range)."""
    rows = table.where(function="signal")
    figure, panels = canvas(len(np.unique(rows["dimension"])), height=3.6, sharey=True)
    titles = {"jsd": "JSD, exact", "ns": "NS-GAN, trained critic", "minimax": "M-GAN, trained critic"}
    for panel, d in zip(panels, np.unique(rows["dimension"]), strict=True):
        here = rows.where(dimension=d)
        spreads = np.unique(here["s"])
        for colour, (column, title) in zip(COLOURS, titles.items(), strict=False):
            values = np.array([np.quantile(here.where(s=s)[column], (0, 0.5, 1)) for s in spreads])
            panel.plot(spreads, values[:, 1], "o-", color=colour, label=title)
            panel.fill_between(spreads, values[:, 0], values[:, 2], color=colour, alpha=0.2, linewidth=0)
        panel.set_yscale("log")
        panel.set(title=f"d = {d:g}", xlabel="s of the noise, for a displacement of 1")
    panels[0].set_ylabel("size of the gradient in b")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
