"""Many paths on one noisy game: ``python scripts/first_picture.py OUT.png``.

min_x max_y 1/n sum_i (a_i x y + b_i x + c_i y) with n = 20 component functions whose a_i scatter more than their mean:
stochastic extragradient diverges, for any step size. Left: one seed on the mean field, that of SVRE's median end.
Right:
the median distance to the solution over 100 seeds, played as one population, against gradient evaluations, full passes
included.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure

from manypaths import SVRG, Alternating, Extragradient, Population, Rule, Stochastic, Training, UniformAverage
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.oracles.base import Oracle
from manypaths.populations.source import PopulationSource
from manypaths.sources.base import IndexSource

N, LR, SEEDS, BUDGET = 20, 0.1, 100, 6000
SPREAD, LIMIT = 1.3, 4.0


@dataclass(frozen=True)
class Method:
    """What is played, and how it is drawn."""

    title: str
    rule: Rule
    colour: str
    cost: float
    reduced: bool = False


METHODS = (
    Method("alternating gradient", Alternating(("x", "y")), "#D55E00", 1),
    Method("stochastic extragradient", Extragradient(), "#E69F00", 2),
    Method("SVRE", Extragradient(), "#0072B2", 5, reduced=True),
)


def game() -> Bilinear:
    found = Bilinear.with_spectrum(N, [1.0], spread=SPREAD, noise=0.6, seed=1)
    found.move_to(
        {name: [torch.full_like(p, v)] for (name, (p,)), v in zip(found.point().items(), (2.0, 1.0), strict=True)}
    )
    return found


def training(method: Method) -> Training:
    population = Population([game()] * SEEDS, seeds=tuple(range(SEEDS)))
    source = PopulationSource.of(lambda seed: IndexSource(N, seed=seed), population.seeds)
    oracle: Oracle = SVRG(source, batch=1, schedule="svre") if method.reduced else Stochastic(source, batch=1)
    optimizers = {name: torch.optim.SGD(population.parameters(name), lr=LR) for name in population.players}
    averages = {"uniform": UniformAverage(restart=0.1)} if method.reduced else None
    return Training(population, oracle, method.rule, optimizers, averages=averages)


def courses(method: Method) -> tuple[torch.Tensor, torch.Tensor]:
    """The points (steps, seeds, 2) and the evaluations of each player by then, (steps,)."""
    play, points, costs = training(method), [], []
    while not costs or costs[-1] < BUDGET:
        point = play.game.point()
        points.append(torch.cat([point["x"][0].reshape(SEEDS, 1), point["y"][0].reshape(SEEDS, 1)], 1))
        spent = torch.as_tensor(play.oracle.evaluations.get("x", 0.0), dtype=torch.float64)
        costs.append(float(spent.mean()))
        play.step()
    return torch.stack(points), torch.tensor(costs)


def draw(out: Path) -> None:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    plane, distance = figure.subplots(1, 2)
    solution = game().solution()
    across = torch.linspace(-LIMIT, LIMIT, 17, dtype=torch.float64)
    x, y = torch.meshgrid(across, across, indexing="xy")
    field = torch.stack([game().field(torch.stack([a, b])) for a, b in zip(x.flatten(), y.flatten(), strict=True)])
    plane.quiver(x, y, -field[:, 0], -field[:, 1], color="#C8CDD6", width=0.003)
    played = {method: courses(method) for method in METHODS}
    ends = (played[METHODS[-1]][0][-1] - solution).norm(dim=1)
    seed = int(ends.argsort()[SEEDS // 2])
    for method, (points, costs) in played.items():
        away = (points - solution).norm(dim=2)
        outside = (points[:, seed].abs().max(1).values > LIMIT).to(torch.int64)
        shown = int(outside.argmax()) + 1 if outside.any() and not method.reduced else len(points)
        plane.plot(*points[:shown, seed].T, color=method.colour, linewidth=1.1)
        middle, low, high = away.quantile(torch.tensor([0.5, 0.05, 0.95], dtype=away.dtype), dim=1)
        distance.plot(costs, middle, color=method.colour, label=method.title)
        distance.fill_between(costs, low, high, color=method.colour, alpha=0.15, linewidth=0)
    plane.plot(*solution, "*", color="black", markersize=14, zorder=5)
    plane.set(
        xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal", xlabel="x", ylabel="y", title="one seed of each"
    )
    distance.set(yscale="log", ylim=(1e-7, 1e4), xlabel="gradient evaluations per player", title=f"{SEEDS} seeds")
    distance.set_ylabel("distance to the solution, median and 5 to 95 %")
    distance.legend(frameon=False, loc="lower left")
    distance.grid(alpha=0.3)
    figure.savefig(out, dpi=120)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
