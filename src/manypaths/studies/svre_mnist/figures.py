"""The figures of the study of SVRE on MNIST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.statistics import bootstrap_interval
from manypaths.experiments.tables import Table
from manypaths.games.adversarial import PLAYERS
from manypaths.studies.svre_mnist import results
from manypaths.studies.svre_mnist.runs import EVERY, FACTORIAL

SHOWN: dict[str, str] = dict(
    zip(("SG-A", "SE-A", "SVRE", "AVG-SVRE", "SVRE-A", "SVRE-VRAd", "BatchE-A"), COLOURS, strict=True)
)
"""The paper's methods and their colours."""
AXES = {"step": "updates", "cost": "mini-batch gradients of each player", "seconds": "seconds"}
SCORES = {
    "inception score": "Inception Score",
    "frechet": "Frechet distance",
    "label entropy": "entropy of labels",
    "label total variation": "labels' distance to uniform",
}
NOISE = {
    "second moment": "E ||d||²",
    "squared mean": "||E d||²",
    "variance": "tr Cov(d)",
    "ratio": "variance ratio",
}


def draw_scores(table: Table) -> Any:
    """Scores of the paper's methods against updates, gradients and seconds: means and ranges over seeds."""
    names = [name for name in SCORES if name in table]
    figure, panels = canvas(len(AXES), len(names), height=2.3)
    for row, name in enumerate(names):
        for column, axis in enumerate(AXES):
            panel = panels[row * len(AXES) + column]
            for arm, colour in SHOWN.items():
                read = f"average {name}" if arm.startswith("AVG") else name
                _curve(panel, table.where(arm=arm), axis, read, colour, label=arm)
            panel.set(yscale="log" if name == "frechet" else "linear", xscale="linear" if axis == "step" else "log")
            if row == len(names) - 1:
                panel.set_xlabel(AXES[axis])
        panels[row * len(AXES)].set_title(SCORES[name])
    if set(table["net"]) == {results.READ_OFF_NET}:
        for arm, scores in results.READ_OFF.items():
            label = "read off the poster" if arm == "SVRE" else None
            panels[0].plot(
                list(scores), list(scores.values()), "o", color=SHOWN[arm], markerfacecolor="white", label=label
            )
    _legend(figure, panels[0])
    return figure


def draw_noise(table: Table) -> Any:
    """The second moment of the estimate, its two parts, and the ratio of variances at the same point."""
    figure, panels = canvas(len(PLAYERS), len(NOISE), height=2.2)
    for row, (part, title) in enumerate(NOISE.items()):
        for column, player in enumerate(PLAYERS):
            panel = panels[row * len(PLAYERS) + column]
            for arm, colour in SHOWN.items():
                if f"{player} {part}" in table:
                    _curve(panel, table.where(arm=arm), "step", f"{player} {part}", colour, label=arm, positive=True)
            panel.set(yscale="log", title=f"{player}: {title}")
            if part == "ratio":
                panel.axhline(1.0, color="#444444", linewidth=0.8)
                panel.set_xlabel(AXES["step"])
    _legend(figure, panels[0])
    return figure


def draw_factorial(table: Table) -> Any:
    """Main effects and interactions on the log Inception Score: a point per seed, means and 95 % intervals."""
    figure, panels = canvas(2, height=3.4, sharey=True)
    if not set(FACTORIAL.values()) <= set(table["arm"]):
        return _without(figure, panels, "the factorial is not played at this scale")
    names = [results.effect_name(factors) for factors in results.EFFECTS]
    for panel, (axis, at, title) in zip(panels, _marks(table), strict=True):
        for y, factors in enumerate(results.EFFECTS):
            values = np.array([results.effect(factors, axis, at)(rows) for _, rows in table.groups("seed")])
            _point(panel, values, y, COLOURS[0] if len(factors) == 1 else COLOURS[1], interval=True)
        panel.axvline(0.0, color="#444444", linewidth=0.8)
        panel.set(title=title, xlabel="log of the Inception Score")
        panel.set_yticks(range(len(names)), names, fontsize=8)
    panels[0].invert_yaxis()
    return figure


def draw_equal_cost(table: Table) -> Any:
    """Every arm at equal numbers of updates and at equal cost: a point per seed and the mean."""
    marks, lines = _marks(table), []
    for arm in (arm for arm in EVERY if arm in set(table["arm"])):
        runs = [rows for _, rows in table.where(arm=arm).groups("seed")]
        reached = [all(_reached(rows, axis, at) for rows in runs) for axis, at, _ in marks]
        if any(reached):
            averaged = arm.startswith("AVG")
            lines += [("SVRE, unrestarted" if averaged else arm, runs, reached, False, SHOWN.get(arm, "#777777"))]
            lines += [(arm, runs, reached, True, SHOWN[arm])] if averaged else []
    figure, panels = canvas(2, height=1.0 + 0.24 * len(lines), sharey=True)
    for number, (panel, (axis, at, title)) in enumerate(zip(panels, marks, strict=True)):
        for y, (_, runs, reached, average, colour) in enumerate(lines):
            if reached[number]:
                values = np.exp([results.information(rows, axis, at, average=average) for rows in runs])
                _point(panel, values, y, colour)
        panel.set(title=title, xlabel="Inception Score", ylim=(len(lines) - 0.5, -0.5))
        panel.set_yticks(range(len(lines)), [label for label, *_ in lines], fontsize=8)
    return figure


def _marks(table: Table) -> list[tuple[Any, float, str]]:
    steps, cost = float(table["equal_steps"][0]), float(table["equal_cost"][0])
    return [
        ("step", steps, f"after {steps:,.0f} updates"),
        ("cost", cost, f"after {cost:,.0f} gradients"),
    ]


def _reached(rows: Table, axis: str, at: float) -> bool:
    """Whether a run came that far and was measured by then; one that diverged would never have come farther."""
    known = rows[axis][np.isfinite(rows[results.SCORE])]
    return rows["state"][0] == "diverged" or bool(len(known) and known.min() <= at <= 1.1 * known.max())


def _point(panel: Any, values: np.ndarray, y: float, colour: str, *, interval: bool = False) -> None:
    panel.plot(values, np.full(len(values), y), "o", color=colour, markersize=3.5, alpha=0.5)
    panel.plot(values.mean(), y, "|", color=colour, markersize=12, markeredgewidth=2)
    if interval and len(values) > 1:
        found = bootstrap_interval(values, np.mean)
        panel.plot([found.low, found.high], [y, y], color=colour, linewidth=1.2)


def _curve(panel: Any, rows: Table, axis: str, column: str, colour: str, *, label: str, positive: bool = False) -> None:
    """Means over seeds at every mark, over the range of the seeds; it ends at the last mark that all seeds reached.

    A cross says that it ends there because a run diverged. ``positive`` leaves out means that no logarithm shows.
    """
    if column not in rows:
        return
    seeds = len(list(rows.groups("seed")))
    finite = rows.take(np.isfinite(rows[column]))
    marks = [at for _, at in sorted(finite.groups("step"), key=lambda group: group[0]) if len(at) == seeds]
    shown = [at for at in marks if at[column].mean() > 0 or not positive]
    if shown:
        x, y = ([at[name].mean() for at in shown] for name in (axis, column))
        panel.plot(x, y, color=colour, label=label, linewidth=1.3)
        low, high = ([reduce(at[column]) for at in shown] for reduce in (np.min, np.max))
        panel.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        if "diverged" in rows["state"]:
            panel.plot(x[-1], y[-1], "x", color=colour)


def _legend(figure: Any, panel: Any) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)


def _without(figure: Any, panels: Sequence[Any], text: str) -> Any:
    for panel in panels:
        panel.remove()
    figure.text(0.5, 0.5, text, ha="center")
    return figure
