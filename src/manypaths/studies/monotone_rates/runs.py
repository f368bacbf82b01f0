"""Methods on strongly monotone finite sums: what they cost until ||w - w*|| has fallen to 1e-6 of its start."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from manypaths.experiments.cells import versioned
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.optim.base import Optimizers
from manypaths.oracles.accelerated import AcceleratedSVRG
from manypaths.oracles.base import Oracle
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.base import Rule
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import IndexSource, Source
from manypaths.training import Training

D = 5
"""Coordinates of each player: moduli of curvature from mu to L in equal ratios."""
MU = 1.0
TARGET = 1e-6
DIVERGED = 1e6
"""A run this many times as far from the solution as it began is given up."""
LARGEST_STEP, RATIO = 4.0, 2**0.5
"""The grid of step sizes: from 4 / L down to 1 / (4 l), in ratios of the root of two."""


@dataclass(frozen=True)
class Problem:
    """What step sizes and complexities depend on."""

    n: int
    L: float
    l: float  # noqa: E741
    mu: float = MU

    @property
    def pull(self) -> float:
        """tau of the accelerated method: of the order of L / sqrt(n), a quarter of it (tried on other games)."""
        return self.L / (4 * self.n**0.5)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A rule, an oracle, and how its cost is said to grow: a n + b n^size x^c.

    Attributes:
        title: in figures and statements.
        rule, oracle: how they are made.
        theory: the step size, of the form that the method's analysis gives, up to its constant (4 everywhere).
        conditioning: x is L / mu or l / mu.
        size: the power of n in the second term (of the batch method there is no first).
        exponent: c in the bound on the cost.
        evaluations: per step and player, snapshots included.
        steps: that it took on other games with its best step size, roughly: what a cell's declared cost goes by.
    """

    title: str
    rule: Callable[[], Rule]
    oracle: Callable[[Source, Problem], Oracle]
    theory: Callable[[Problem], float]
    evaluations: Callable[[Problem], float]
    steps: Callable[[Problem], float]
    conditioning: Literal["L/mu", "l/mu"] = "L/mu"
    size: float = 0.0
    exponent: float = 1.0


def _svrg(source: Source) -> SVRG:
    """A coin of probability 1/n per step, as in SVRE: a step of extragradient costs 4 + 1, a gradient step 2 + 1."""
    return SVRG(source, batch=1, schedule="svre")


METHODS = {
    "svrg": Method(
        title="SVRG-GDA",
        rule=Simultaneous,
        oracle=lambda source, problem: _svrg(source),
        theory=lambda p: p.mu / (4 * p.L**2),
        evaluations=lambda p: 3.0,
        steps=lambda p: 12 * p.l / p.mu + 8 * p.n,
        exponent=2.0,
    ),
    "accelerated": Method(
        title="accelerated SVRG",
        rule=Simultaneous,
        oracle=lambda source, problem: AcceleratedSVRG(_svrg(source), tau=problem.pull),
        theory=lambda p: (p.mu + p.pull) / (4 * (p.L + p.pull) ** 2),
        evaluations=lambda p: 3.0,
        steps=lambda p: 4 * (p.n * p.l * p.L) ** 0.5 / p.mu,
        size=0.5,
    ),
    "svre": Method(
        title="SVRE",
        rule=Extragradient,
        oracle=lambda source, problem: _svrg(source),
        theory=lambda p: 1 / (4 * p.l),
        evaluations=lambda p: 5.0,
        steps=lambda p: 15 * p.L / p.mu + 12 * p.n,
        conditioning="l/mu",
    ),
    "batch": Method(
        title="batch extragradient",
        rule=Extragradient,
        oracle=lambda source, problem: FullBatch(source),
        theory=lambda p: 1 / (4 * p.L),
        evaluations=lambda p: 2.0 * p.n,
        steps=lambda p: 14 * p.L / p.mu,
        size=1.0,
    ),
    "plain": Method(
        title="stochastic extragradient",
        rule=Extragradient,
        oracle=lambda source, problem: Stochastic(source, batch=1),
        theory=lambda p: 1 / (4 * p.l),
        evaluations=lambda p: 2.0,
        steps=lambda p: 15 * p.L / p.mu,
        conditioning="l/mu",
    ),
}


FAMILIES = {"potential": 0.0, "mixed": 0.5, "rotation": 1.0}
"""The a in l = L (L / mu)^a (see ``monotone_sum``)."""


def problem_of(family: str, n: int, conditioning: float) -> Problem:
    """The constants of a family's games."""
    L = conditioning * MU
    return Problem(n, L, L * conditioning ** FAMILIES[family])


def grid(problem: Problem) -> Tensor:
    """The step sizes that are tried."""
    largest = LARGEST_STEP / problem.L
    count = 1 + math.ceil(math.log(largest * 4 * problem.l) / math.log(RATIO))
    return largest * RATIO ** -torch.arange(count, dtype=torch.float64)


@versioned(1)
def cost(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """The median over seeds of the per-sample gradients per player until the target, at the best step size.

    All step sizes and seeds advance together, until no run is left that could still make a step size the best one.
    ``at_end``: whether the best step size is the first or the last of its grid. Infinite where no step size brings
    half of the seeds to the target within ``budget`` steps. ``reached``: the largest share of seeds that a step size
    had brought there by the end.
    """
    family, n, seeds, method = settings["family"], settings["n"], settings["seeds"], METHODS[settings["method"]]
    problem = problem_of(family, n, settings["conditioning"])
    noise, number = settings["noise"], settings["game"]
    game = Quadratic.monotone(n, D, family=family, mu=MU, L=problem.L, noise=noise, seed=number)
    tuned = settings["step_size"] == "tuned"
    steps = grid(problem) if tuned else torch.tensor([method.theory(problem)], dtype=torch.float64)
    numbers = [number * seeds + seed for seed in range(seeds)] * len(steps)
    training = _training(game, method, problem, numbers, steps.repeat_interleave(seeds))
    costs, taken = _solve(training, game.solution(), seeds, settings["budget"])
    medians = np.median(costs, axis=1)
    best = int(np.argmin(medians))
    solved = bool(np.isfinite(medians[best]))
    return {
        "cost": [medians[best]],
        "step": float(steps[best]) * problem.L if solved else math.nan,
        "at_end": tuned and solved and best in (0, len(steps) - 1),
        "reached": np.isfinite(costs).mean(1).max(),
        "x": problem.l / MU if method.conditioning == "l/mu" else problem.L / MU,
        "steps": taken,
    }


def _training(game: Quadratic, method: Method, problem: Problem, seeds: list[int], steps: Tensor) -> Training:
    population = Population([game] * len(seeds), seeds=seeds)
    source = PopulationSource.of(lambda seed: IndexSource(problem.n, seed=seed), seeds)
    sgd = {name: torch.optim.SGD(population.parameters(name), lr=1.0) for name in population.players}
    optimizers = Optimizers(sgd, rates=dict.fromkeys(sgd, steps))
    return Training(population, method.oracle(source, problem), method.rule(), optimizers)


def _solve(training: Training, solution: Tensor, seeds: int, budget: int) -> tuple[np.ndarray, int]:
    """Evaluations at the target, (step sizes, seeds), infinite where it was not reached; and the steps taken.

    Stops where every run has arrived, has diverged, or has spent more than the lowest median: such a run cannot
    change which step size has the lowest median, nor its value.
    """
    squares = _squares(training, solution)
    start, costs, taken = squares, torch.full_like(squares, math.inf), 0
    for taken in range(1, budget + 1):
        training.step()
        squares = _squares(training, solution) / start
        spent = torch.as_tensor(training.oracle.evaluations["x"]).expand(len(squares))
        costs = torch.where((squares <= TARGET**2) & costs.isinf(), spent.double(), costs)
        if taken % 10 == 0:
            lowest = np.median(costs.view(-1, seeds).numpy(), axis=1).min()
            if not (costs.isinf() & (squares < DIVERGED**2) & (spent <= lowest)).any():
                break
    return costs.view(-1, seeds).numpy(), taken


def _squares(training: Training, solution: Tensor) -> Tensor:
    """||w - w*||^2 of every member."""
    point = torch.cat([p.detach() for name in training.game.players for p in training.game.parameters(name)], 1)
    return (point - solution).square().sum(1)
