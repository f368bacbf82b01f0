"""What the terminal shows while a run trains."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Terminal:
    """A progress bar on a terminal, a line every few seconds elsewhere: losses, cost, speed, time left."""

    def __init__(self, total: int, start: int, *, budget: int | None = None, console: Console | None = None):
        self.console = console or Console(stderr=True)
        self._steps, self._budget = total, budget
        self._live = self.console.is_terminal
        self._last, self._began, self._first = 0.0, time.monotonic(), start
        self._noise = ""
        self._first_done: int | None = None
        columns = (BarColumn(bar_width=24), TextColumn("{task.description}"), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self.console, transient=False)
        self._task = self._bar.add_task("", total=budget or total, completed=0 if budget else start)
        if self._live:
            self._bar.start()

    def show(self, row: dict[str, Any]) -> None:
        speed = (row["step"] - self._first) / max(1e-9, time.monotonic() - self._began)
        losses = "  ".join(f"{name} {loss:.3f}" for name, loss in row["loss"].items())
        if "noise" in row:
            self._noise = "".join(f"  noise {name} {_noise(noise)}" for name, noise in row["noise"].items())
        text = (
            f"step {row['step']}/{self._steps}  {losses}  {row['evaluations']:,} gradients  "
            f"{row['passes']:.1f} passes  {speed:.1f} steps/s{self._noise}"
        )
        done = row["evaluations"] if self._budget else row["step"]
        if self._live:
            self._bar.update(self._task, completed=done, description=text)
        elif time.monotonic() - self._last >= 5.0:
            self._last = time.monotonic()
            left = self._time_left(row, done)
            self.console.print(f"{text}  {left}", highlight=False, soft_wrap=True)

    def _time_left(self, row: dict[str, Any], done: int) -> str:
        total = self._budget or self._steps
        self._first_done = done if self._first_done is None else self._first_done
        gained = done - self._first_done
        if not gained:
            return ""
        seconds = (time.monotonic() - self._began) * max(0, total - done) / gained
        return f"about {seconds:.0f} s left"

    def close(self) -> None:
        if self._live:
            self._bar.stop()


def _noise(noise: dict[str, Any]) -> str:
    """Variance and second moment of one player's estimate, and what variance reduction makes of it."""
    text = f"{noise['variance']:.2g} of {noise['second_moment']:.2g}"
    return text if noise["ratio"] is None else f"{text} (ratio {noise['ratio']:.2f} at age {noise['age']})"
