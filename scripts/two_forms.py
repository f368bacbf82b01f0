"""Where each form of extragradient is stable, and two games that tell them apart: ``python scripts/two_forms.py OUT``.

The regions come from the rules themselves: the spectral radius of a step's map on F(x, y) = (a x + b y, a y - b x).
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch
from matplotlib.figure import Figure

from manypaths.rules.extragradient import Extragradient
from manypaths.testing.closed_forms import affine_map

FORMS = {"joint": "#0072B2", "opponent": "#D55E00"}
GAMES = {"rotation: eta a = 0.05, eta b = 0.9": (0.05, 0.9), "curvature: eta a = 1.2, eta b = 0.2": (1.2, 0.2)}
STEPS = 40


def step(at: str, a: float, b: float) -> torch.Tensor:
    """The map (x, y) -> (x, y) of one step with eta = 1."""
    matrix = torch.tensor([[a, b], [-b, a]], dtype=torch.float64)
    return affine_map(partial(Extragradient, at=at), matrix, lr=1.0)


def radius(at: str, a: float, b: float) -> float:
    return float(torch.linalg.eigvals(step(at, a, b)).abs().max())


def draw(out: Path) -> None:
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    region, *courses = figure.subplots(1, 3)
    across, up = torch.linspace(0, 2.2, 56).tolist(), torch.linspace(0, 1.2, 41).tolist()
    for at, colour in FORMS.items():
        rows = [[radius(at, a, b) for a in across] for b in up]
        region.contourf(across, up, rows, levels=[0, 1], colors=[colour], alpha=0.25)
        region.contour(across, up, rows, levels=[1], colors=[colour], linewidths=1.6)
        region.plot([], [], color=colour, label=at)
        for panel, (title, (a, b)) in zip(courses, GAMES.items(), strict=True):
            matrix, w = step(at, a, b), torch.ones(2, dtype=torch.float64)
            distances = []
            for _ in range(STEPS + 1):
                distances.append(float(w.norm()))
                w = matrix @ w
            panel.plot(distances, color=colour, label=at)
            panel.set(yscale="log", title=title, xlabel="steps", ylabel="distance to the solution")
    region.set(xlabel="eta a (a player's own curvature)", ylabel="eta b (rotation)", title="a step contracts")
    for panel in (region, *courses):
        panel.legend(frameon=False)
        panel.grid(alpha=0.3)
    figure.savefig(out, dpi=130)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
