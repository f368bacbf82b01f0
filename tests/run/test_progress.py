"""What the terminal shows."""

from __future__ import annotations

import io

from rich.console import Console

from manypaths.run.progress import Terminal

ROW = {
    "step": 40,
    "evaluations": 81_920,
    "passes": 22.8,
    "loss": {"critic": 1.25, "generator": 0.7},
    "noise": {"critic": {"variance": 0.0312, "second_moment": 0.5, "ratio": 0.234, "age": 14}},
}


def test_losses_cost_speed_and_noise_are_in_a_line() -> None:
    out = io.StringIO()
    terminal = Terminal(100, 0, console=Console(file=out, width=300))
    terminal.show(ROW)
    terminal.close()
    for part in (
        "step 40/100",
        "critic 1.250",
        "generator 0.700",
        "81,920 gradients",
        "22.8 passes",
        "steps/s",
        "noise critic 0.031 of 0.5 (ratio 0.23 at age 14)",
    ):
        assert part in out.getvalue()


def test_a_bar_on_a_terminal() -> None:
    out = io.StringIO()
    terminal = Terminal(100, 0, budget=100_000, console=Console(file=out, width=200, force_terminal=True))
    terminal.show({**ROW, "noise": {}})
    terminal.close()
    assert "step 40/100" in out.getvalue()
