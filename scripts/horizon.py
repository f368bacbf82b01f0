"""Draw the scores of ``svre-mnist`` at scale ``horizon`` from ``docs/data/svre-mnist-horizon.csv``.

``python scripts/horizon.py OUT.png``: Inception Score against updates, mini-batch gradients of each player and seconds
of one core; the mean over the seeds that are finished, with their range where there are several.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

from matplotlib.figure import Figure

TABLE = Path(__file__).resolve().parent.parent / "docs" / "data" / "svre-mnist-horizon.csv"
AXES = {"updates": "updates", "minibatch_gradients": "mini-batch gradients per player", "seconds": "seconds, one core"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999", "#7F3C8D")


def read() -> dict[str, dict[int, list[dict[str, float]]]]:
    """Arm -> updates -> a row of numbers per seed."""
    found: dict[str, dict[int, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    with TABLE.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers = {name: float(row[name]) for name in (*AXES, "inception_score")}
            found[row["arm"]][int(row["updates"])].append(numbers)
    return found


def draw(out: Path) -> None:
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for colour, (arm, marks) in zip(COLOURS, read().items(), strict=False):
        seeds = max(len(rows) for rows in marks.values())
        whole = {at: rows for at, rows in sorted(marks.items()) if len(rows) == seeds}
        scores = [[row["inception_score"] for row in rows] for rows in whole.values()]
        style = "--" if arm.endswith("joint") else "-"
        for panel, (axis, title) in zip(panels, AXES.items(), strict=True):
            x = [sum(row[axis] for row in rows) / seeds for rows in whole.values()]
            panel.plot(x, [sum(s) / seeds for s in scores], style, color=colour, label=arm, linewidth=1.4)
            if seeds > 1:
                panel.fill_between(x, list(map(min, scores)), list(map(max, scores)), color=colour, alpha=0.15)
            panel.set(xlabel=title, xscale="log")
            panel.grid(alpha=0.3)
    panels[0].set_ylabel("Inception Score (mnist-14-cnn)")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(out, dpi=120)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
