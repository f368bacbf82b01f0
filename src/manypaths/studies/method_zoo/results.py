"""How the runs of the method zoo are read and drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from manypaths.experiments.figures import COLOURS, WIDTH, canvas
from manypaths.experiments.tables import Table

FALLEN, GROWN, AWAY = 0.5, 0.1, 0.5
"""Decades: a run converges whose last half falls by so many; it diverges if that grows by so many, or ends so far
away; else it stalls. A distance that falls like 1/t gains log10(2) = 0.3 and has no linear rate."""
COMMON = 0.25
"""The step size at which all methods are compared, in their units."""


@dataclass(frozen=True)
class Result:
    """What a method does on a game at one step size: medians over seeds."""

    lr: float
    rate: float
    state: Literal["converges", "stalls", "diverges"]


def result(rows: Table) -> Result:
    """Of the runs at one step size."""
    rate, gain, end = (float(np.median(rows[name])) for name in ("rate", "gain", "end"))
    state = "diverges" if gain <= -GROWN or end >= AWAY else "converges" if gain >= FALLEN else "stalls"
    return Result(float(rows["lr"][0]), rate, state)


def best(rows: Table) -> Result:
    """At the step size with the highest rate among those that converge, else among those that do not diverge."""
    order = ("diverges", "stalls", "converges")
    return max((result(some) for _, some in rows.groups("lr")), key=lambda r: (order.index(r.state), r.rate))


def at_common(rows: Table) -> Result:
    """At the common step size."""
    return result(rows.where(lr=COMMON))


def draw_best(table: Table) -> Any:
    """Every method on every game at the best of the step sizes tried."""
    return _heat_map(table, best, "each method at its best step size")


def draw_common(table: Table) -> Any:
    """Every method on every game at the common step size."""
    return _heat_map(table, at_common, f"every method at the step size {COMMON:g} / L")


def _heat_map(table: Table, read: Callable[[Table], Result], title: str) -> Any:
    """Colour is log10 of the rate, the number is passes per decade; red and hatched diverges, grey stalls."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch, Rectangle

    raced = table.where(run="race")
    methods, games = (list(dict.fromkeys(raced[name].tolist())) for name in ("method", "game"))
    figure = Figure(figsize=(WIDTH, 1.7 + 0.235 * len(methods)), layout="constrained")
    axes: Any = figure.subplots()
    rates, marks = np.full((len(methods), len(games)), np.nan), {"diverges": [], "stalls": []}
    for (method, game), rows in raced.groups("method", "game"):
        place, found = (methods.index(method), games.index(game)), read(rows)
        if found.state != "converges":
            marks[found.state].append(place)
            continue
        rates[place] = math.log10(found.rate)
        bright = found.rate > 0.03
        text, colour = f"{1 / found.rate:.{'1f' if found.rate > 0.1 else '0f'}}", "black" if bright else "white"
        axes.text(place[1], place[0], text, ha="center", va="center", fontsize=7.5, color=colour)
    image = axes.imshow(rates, aspect="auto", cmap="viridis", vmin=-3, vmax=-0.5)
    looks: dict[str, Any] = {
        "diverges": {"facecolor": "#F6C9BF", "edgecolor": COLOURS[1], "hatch": "////", "linewidth": 0},
        "stalls": {"facecolor": "#E3E3E3", "linewidth": 0},
    }
    for state, places in marks.items():
        for row, column in places:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **looks[state]))
    axes.set_xticks(range(len(games)), games, rotation=35, ha="right", fontsize=8.5)
    axes.set_yticks(range(len(methods)), methods, fontsize=8.5)
    axes.set_xticks(np.arange(1, len(games)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(methods)) - 0.5, minor=True)
    axes.set_axisbelow(False)
    axes.grid(False)
    axes.grid(which="minor", color="white", linewidth=1.0)
    axes.tick_params(which="both", length=0)
    axes.set_title(title)
    figure.colorbar(image, label="log10 of decades per pass (numbers: passes per decade)", fraction=0.04, pad=0.02)
    patches = [Patch(**look, label=state) for state, look in looks.items()]
    blank = Patch(facecolor="white", edgecolor="#888888", linewidth=0.6, label="a single component function")
    figure.legend(handles=[*patches, blank], loc="outside lower left", ncols=3, fontsize=8.5)
    return figure


def draw_theory(table: Table) -> Any:
    """Measured rates of the long runs against those of the methods' matrices, on both sides of zero."""
    figure, (panel,) = canvas(height=5.0)
    long = table.where(run="long")
    for k, ((game,), rows) in enumerate(long.groups("game")):
        panel.plot(rows["theory"], rows["per_step"], "o", color=COLOURS[k], label=game, markersize=4, alpha=0.7)
    ends = np.array([np.nanmin(long["theory"]), np.nanmax(long["theory"])])
    panel.plot(ends, ends, color="#444444", linewidth=0.8, zorder=1.5)
    for scale in (panel.set_xscale, panel.set_yscale):
        scale("symlog", linthresh=1e-3)
    panel.set(xlabel="decades per step, from the spectral radius of the method's matrix", ylabel="measured")
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
