"""Scores of the generators."""

from __future__ import annotations

from collections.abc import Sequence

from manypaths.report.panels.base import Chart, Panel, keys
from manypaths.report.reading import RunRecord


def _charts(runs: Sequence[RunRecord]) -> list[Chart]:
    """One per metric and kind of iterate: an average and a last iterate of different runs are not to be compared."""
    found = {(metric, which) for which in keys(runs, "score") for metric in keys(runs, "score", which)}
    return [
        Chart(f"{metric}, {which}", ("score", which, metric), log=metric.startswith("frechet"))
        for metric, which in sorted(found)
    ]


PANEL = Panel(
    "scores",
    "Scores",
    "Each score names its feature net; lower Frechet distances and higher Inception Scores are better. Compare a score "
    "only with one of the same net and the same number of samples.",
    _charts,
)
