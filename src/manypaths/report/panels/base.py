"""What a panel of the page is: a title, charts of recorded numbers, and a hint how to read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from manypaths.report.reading import RunRecord


@dataclass(frozen=True)
class Chart:
    """One number of every row of ``metrics.jsonl``, per run; runs that differ in their seed alone become a band.

    Attributes:
        title: above the chart.
        path: where the number stands in a row, ``("loss", "critic")``.
        log: a logarithmic vertical axis, where all numbers are positive.
        smooth: a running mean over the faint raw numbers, where no runs form a band.
        against: where the horizontal number stands in the row, for points on a logarithmic axis of their own; the
            axis that the reader chose by default.
        against_title: below that axis.
        line: a horizontal line.
    """

    title: str
    path: tuple[str, ...]
    log: bool = False
    smooth: bool = False
    against: tuple[str, ...] = ()
    against_title: str = ""
    line: float | None = None


@dataclass(frozen=True)
class Panel:
    """A section of the page; it is left out where ``charts`` finds nothing to draw.

    Attributes:
        name: the section's address in the page.
        title: its heading.
        hint: how to read it.
        charts: what it draws of these runs.
    """

    name: str
    title: str
    hint: str
    charts: Callable[[Sequence[RunRecord]], list[Chart]]


def keys(runs: Sequence[RunRecord], *path: str) -> list[str]:
    """The names that stand at a path in any row of any run, in the order of their first appearance."""
    found: dict[str, None] = {}
    for run in runs:
        for row in run.rows:
            inner = row
            for key in path:
                inner = inner.get(key) or {}
            found.update(dict.fromkeys(inner))
    return list(found)
