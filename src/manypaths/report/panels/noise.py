"""The noise of the gradient estimates."""

from __future__ import annotations

from collections.abc import Sequence

from manypaths.report.panels.base import Chart, Panel, keys
from manypaths.report.reading import RunRecord

AGE = "age of the snapshot, in mini-batches"


def _charts(runs: Sequence[RunRecord]) -> list[Chart]:
    charts = []
    for player in keys(runs, "noise"):
        title = f"{player}: variance of the gradient estimate"
        charts.append(Chart(title, ("noise", player, "variance"), log=True))
    for player in keys(runs, "noise"):
        title, noise = f"{player}: variance ratio SVRG / mini-batch", ("noise", player)
        ages = (*noise, "age")
        charts.append(Chart(title, (*noise, "ratio"), log=True, against=ages, against_title=AGE, line=1.0))
    return charts


PANEL = Panel(
    "noise",
    "Gradient noise",
    "Over independent mini-batches at one fixed point: the variance tr Cov(d) of the estimate d that training uses, "
    "and its ratio to the plain mini-batch estimate's at the same point. Below 1, variance reduction helps.",
    _charts,
)
