"""The figures of ``when_vr_pays``."""

from __future__ import annotations

from typing import Any

import numpy as np

from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.tables import Table
from manypaths.games.adversarial import PLAYERS
from manypaths.studies.when_vr_pays.results import TINY, curve
from manypaths.studies.when_vr_pays.runs import ARMS, BASE, FACTORS, RACES, WHOLE, Setting, raced_arms

LEAST = 1e-5
"""The smallest ratio shown."""


def draw_critic(table: Table) -> Any:
    """The critic's ratio against the age, a panel per factor."""
    return _ages(table, "critic")


def draw_generator(table: Table) -> Any:
    """The generator's."""
    return _ages(table, "generator")


def _ages(table: Table, player: str) -> Any:
    """Medians over seeds, late in training, over the range of the seeds; where the ratio is above 1 noise is added."""
    figure, panels = canvas(2, (len(FACTORS) + 1) // 2, height=2.9)
    for panel, (factor, settings) in zip(panels, FACTORS.items(), strict=True):
        for colour, setting in zip(COLOURS, settings, strict=False):
            rows = table.where(function="ages", setting=str(setting))
            ages, ratios = _seeds(rows, player, "late")
            panel.plot(
                ages, np.median(ratios, axis=0), "o-", color=colour, label=_label(setting, settings), markersize=3
            )
            panel.fill_between(ages, ratios.min(0), ratios.max(0), color=colour, alpha=0.15, linewidth=0)
        _mark(panel, table)
        panel.set_title(factor)
        panel.legend(fontsize=7)
    for panel in panels[-2:]:
        panel.set_xlabel("age of the snapshot, mini-batches")
    figure.suptitle(f"{player}: variance of SVRG over that of the mini-batch", fontsize=10)
    return figure


def _label(setting: Setting, others: tuple[Setting, ...]) -> str:
    """The words in which it differs from the others of its panel."""
    common = set.intersection(*(set(str(other).split()) for other in others))
    return " ".join(word for word in str(setting).split() if word not in common) or "none"


def draw_layers(table: Table) -> Any:
    """The ratio of every layer in the base setting, from input (dark) to output (light); the player's own dashed."""
    from matplotlib import colormaps

    rows = table.where(function="ages", setting=str(BASE))
    phases = list(dict.fromkeys(rows["phase"].tolist()))
    figure, panels = canvas(len(phases), len(PLAYERS), height=2.9, sharey=True)
    places = [(player, phase) for player in PLAYERS for phase in phases]
    for panel, (player, phase) in zip(panels, places, strict=True):
        names = dict.fromkeys(rows.where(player=player, phase=phase)["layer"].tolist())
        layers = [name for name in names if name != WHOLE]
        for i, layer in enumerate(layers):
            ages, ratios = _seeds(rows, player, phase, layer)
            shade = colormaps["viridis"](0.9 * i / max(1, len(layers) - 1))
            panel.plot(ages, np.median(ratios, axis=0), "o-", color=shade, label=layer, markersize=3)
        ages, ratios = _seeds(rows, player, phase)
        panel.plot(ages, np.median(ratios, axis=0), "--", color="#444444", label="all")
        _mark(panel, table)
        panel.set_title(f"{player}, {phase}")
        panel.legend(fontsize=7)
    for panel in panels[-len(phases) :]:
        panel.set_xlabel("age of the snapshot, mini-batches")
    return figure


def draw_races(table: Table) -> Any:
    """Above the score on the way, below the larger of the players' ratios; medians over seeds, a column per setting."""
    figure, panels = canvas(len(RACES), 2, height=3.1)
    for column, (setting, title) in enumerate(RACES.items()):
        rows = table.where(function="race", setting=str(setting))
        above, under = panels[column], panels[len(RACES) + column]
        for arm in raced_arms(setting):
            own, colour = rows.where(arm=arm), _colour(arm)
            style = "-" if ARMS[arm].reduces else ":"
            above.plot(*_course(own, "score"), style, color=colour, label=ARMS[arm].title)
            if ARMS[arm].reduces:
                under.plot(*_course(own, "ratio"), color=colour, linewidth=1.2)
        above.set(yscale="log", title=title, ylabel="score" if not column else None)
        under.set(ylim=(0, None), xlabel="per-sample gradients, in thousands")  # 0 beside a new snapshot
        under.axhline(1.0, color="#444444", linewidth=0.8)
        if not column:
            under.set_ylabel("variance ratio")
    handles = {label: h for panel in panels for h, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _colour(arm: str) -> str:
    """Dotted and solid lines share the palette."""
    return COLOURS[[name for name in ARMS if ARMS[name].reduces == ARMS[arm].reduces].index(arm)]


def _course(rows: Table, what: str) -> tuple[list[float], list[float]]:
    """Thousands of gradients, and medians over the seeds that have a number, by row of the run."""
    seeds = []
    for _, run in rows.groups("seed"):
        ratios = np.maximum(*(run[f"ratio_{player}"].astype(float) for player in PLAYERS))
        values = run["score"].astype(float) if what == "score" else np.maximum(ratios, TINY)
        present = ~np.isnan(values)
        seeds.append((run["evaluations"].astype(float)[present] / 1e3, values[present]))
    least = min((len(x) for x, _ in seeds), default=0)
    return tuple([float(np.median([seed[i][j] for seed in seeds])) for j in range(least)] for i in (0, 1))  # type: ignore[return-value]


def _seeds(rows: Table, player: str, phase: str, layer: str = WHOLE) -> tuple[np.ndarray, np.ndarray]:
    """Ages, and the ratios of every seed at them, (seeds, ages); seeds that lack an age are left out of it."""
    curves = [curve(seed, player, phase, layer) for _, seed in rows.groups("seed")]
    ages = max((ages for ages, _ in curves), key=len)
    return ages, np.array([ratios for x, ratios in curves if len(x) == len(ages)])


def _mark(panel: Any, table: Table) -> None:
    """Where the ratio is 1, and where an epoch of the base setting ends."""
    epoch = float(table.where(function="ages", setting=str(BASE))["epoch"][0])
    panel.axhline(1.0, color="#444444", linewidth=0.8)
    panel.axvline(epoch, color="#444444", linewidth=0.8, linestyle=":")
    panel.set(xscale="log", yscale="log")
    panel.set_ylim(bottom=max(LEAST, panel.get_ylim()[0]))
