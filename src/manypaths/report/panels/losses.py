"""The players' losses."""

from __future__ import annotations

from collections.abc import Sequence

from manypaths.report.panels.base import Chart, Panel, keys
from manypaths.report.reading import RunRecord


def _charts(runs: Sequence[RunRecord]) -> list[Chart]:
    return [Chart(player, ("loss", player), smooth=True) for player in keys(runs, "loss")]


PANEL = Panel(
    "losses",
    "Losses",
    "Each player minimises its own. A GAN's losses need not fall: they are the value of a game, not a distance.",
    _charts,
)
