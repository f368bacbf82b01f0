"""What the terminal shows while a study runs."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from manypaths.experiments.cells import Outcome


class CellsBar:
    """A bar on a terminal, a line every few seconds elsewhere; failures at once, with their reason."""

    def __init__(self, total: int, finished: int, console: Console):
        self._console, self._total, self._done, self._failed = console, total, finished, 0
        self._last = time.monotonic()
        columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console)
        self._task = self._bar.add_task("cells", total=total, completed=finished)
        if console.is_terminal:
            self._bar.start()

    def show(self, outcome: Outcome) -> None:
        cell = outcome.task.cell
        if outcome.error is not None:
            self._failed += 1
            self._console.print(f"failed: {cell}: {outcome.error}", highlight=False, markup=False, soft_wrap=True)
        else:
            self._done += 1
        failed = f"  {self._failed} failed" if self._failed else ""
        if self._console.is_terminal:
            self._bar.update(self._task, completed=self._done, description=f"cells{failed}")
        elif time.monotonic() - self._last >= 5.0:
            self._last = time.monotonic()
            self._console.print(
                f"{self._done}/{self._total} cells{failed}  {cell}: {outcome.seconds:.1f} s",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )

    def close(self) -> None:
        if self._console.is_terminal:
            self._bar.stop()
