"""The figures of the studies on pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.tables import Table
from manypaths.studies.many_paths import TITLES
from manypaths.studies.pictures.results import MEAN, REAL, TRAINS, score_of, trains
from manypaths.studies.pictures.runs import HIGHEST, LOWEST

SCORES = {
    "inception score": "Inception Score",
    "sliced wasserstein": "sliced Wasserstein distance, pixels",
    "frechet": "Frechet distance",
    "label entropy": "entropy of the labels",
    "ms-ssim": "MS-SSIM",
    "wasserstein critic": "independent Wasserstein critic",
}
LOGARITHMIC = ("frechet", "sliced wasserstein")


def draw_spread(table: Table) -> Any:
    """One point per setting for every score and game, a cross where it diverged; quartiles and the median."""
    names = [name for name in SCORES if name in table]
    figure, panels = canvas(2, (len(names) + 1) // 2, height=2.7)
    for panel in panels[len(names) :]:
        panel.remove()
    at_settings, crosses = [rows for _, rows in _played(table).groups("setting")], False
    for panel, name in zip(panels, names, strict=False):
        for column, game in enumerate(TITLES):
            values = np.array([score_of(rows, game, name) for rows in at_settings])
            low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
            panel.plot([column, column], [low, high], color="#CCCCCC", linewidth=16, solid_capstyle="butt", zorder=1)
            panel.plot([column - 0.22, column + 0.22], [middle, middle], color="#444444", zorder=3)
            for rows, value, x in zip(at_settings, values, np.linspace(-0.3, 0.3, len(values)), strict=True):
                lost = not math.isfinite(rows.where(game=game)[name][0])  # shown where it counts, at the mean image
                crosses = crosses or lost
                panel.plot(column + x, value, "x" if lost else "o", color=_colour(rows), markersize=4)
        if name == table["score"][0]:
            _mark_training(panel, at_settings)
        for game, style in ((REAL, "--"), (MEAN, ":")):
            panel.axhline(score_of(at_settings[0], game, name), color="#444444", linewidth=0.8, linestyle=style)
        panel.set_title(SCORES[name], pad=16 if name == table["score"][0] else None)
        panel.set(yscale="log" if name in LOGARITHMIC else "linear")
        panel.set_xticks(range(len(TITLES)), list(TITLES.values()), fontsize=8)
    _legend(figure, table, crosses=crosses)
    return figure


def draw_settings(table: Table) -> Any:
    """Which settings train which game: filled points do; one panel per number of critic steps, beta1 within a game."""
    steps = np.unique(table["critic_steps"]).tolist()
    figure, panels = canvas(len(steps), height=3.4, sharey=True)
    played = _played(table)
    beta1 = np.unique(played.where(function="play")["beta1"]).tolist()
    for panel, k in zip(panels, steps, strict=True):
        for _, rows in played.where(critic_steps=k).groups("setting"):
            place = rows.where(function="play")
            for row, game in enumerate(TITLES):
                y = row + 0.22 * (beta1.index(place["beta1"][0]) - (len(beta1) - 1) / 2)
                colour = COLOURS[beta1.index(place["beta1"][0])]
                face = colour if trains(rows, game) else "white"
                panel.plot(place["lr"][0], y, "o", color=colour, markerfacecolor=face)
        panel.set(
            xscale="log",
            xlim=(0.9 * LOWEST, 1.1 * HIGHEST),
            xlabel="learning rate",
            title=f"{k:g} critic step{'s' if k > 1 else ''}",
        )
        panel.set_yticks(range(len(TITLES)), list(TITLES.values()))
    panels[0].invert_yaxis()
    names = [(COLOURS[i], f"beta1 = {value:g}", True) for i, value in enumerate(beta1)]
    _handles(figure, [*names, ("#444444", "does not train", False)])
    return figure


def _played(table: Table) -> Table:
    """Without the rows of no setting: there are none but by mistake."""
    return table.take(np.array([setting is not None for setting in table["setting"].tolist()]))


def _colour(rows: Table) -> str:
    return COLOURS[int(rows["critic_steps"][0] > 1)]


def _mark_training(panel: Any, at_settings: list[Table]) -> None:
    """The score from which a run trains, and above each game at how many settings it does."""
    name = at_settings[0]["score"][0]
    real, mean = (score_of(at_settings[0], game, name) for game in (REAL, MEAN))
    panel.axhline(mean + TRAINS * (real - mean), color=COLOURS[1], linewidth=0.8)
    for column, game in enumerate(TITLES):
        share = sum(trains(rows, game) for rows in at_settings)
        text = f"{share} of {len(at_settings)}"
        panel.text(column, 1.02, text, ha="center", fontsize=8, transform=panel.get_xaxis_transform())


def _legend(figure: Any, table: Table, *, crosses: bool) -> None:
    from matplotlib.lines import Line2D

    steps = np.unique(table["critic_steps"]).tolist()
    points = [(COLOURS[int(k > 1)], f"{k:g} critic step{'s' if k > 1 else ''}", True) for k in steps]
    lines = [
        Line2D([], [], color="#444444", linestyle="--", label="real images"),
        Line2D([], [], color="#444444", linestyle=":", label="their mean image"),
        Line2D([], [], color=COLOURS[1], linewidth=0.8, label="trains"),
    ]
    if crosses:
        lines.append(Line2D([], [], color="#444444", marker="x", linestyle="", label="diverged"))
    _handles(figure, points, lines)


def _handles(figure: Any, points: list[tuple[str, str, bool]], lines: list[Any] | None = None) -> None:
    from matplotlib.lines import Line2D

    shown = [
        Line2D([], [], color=c, marker="o", linestyle="", markerfacecolor=c if filled else "white", label=label)
        for c, label, filled in points
    ]
    handles = [*shown, *(lines or [])]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
