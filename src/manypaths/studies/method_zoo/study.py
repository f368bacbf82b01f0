"""Every rule and every oracle on small games whose answers are known, at equal cost in gradient evaluations.

A pass is one evaluation of every component function by every player, the price of one full gradient. A rate is in
decades of distance to the solution per pass, fitted to the last half of a run. Where a method is one fixed matrix on
a linear field, the matrix's spectral radius says what the rate must be.

On two cores, smoke takes about half a minute, laptop ten minutes and paper two and a half hours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell, versioned
from manypaths.experiments.claims import Claim, above, below
from manypaths.experiments.statistics import Bootstrap, Exact
from manypaths.experiments.tables import Table
from manypaths.games.analytic.base import joined
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.optim.base import Optimizers
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.sources.base import IndexSource
from manypaths.studies.method_zoo.games import ARENAS, LINEAR, Arena
from manypaths.studies.method_zoo.methods import METHODS, Method, Seat
from manypaths.studies.method_zoo.results import FALLEN, GROWN, draw_best, draw_common, draw_theory
from manypaths.studies.method_zoo.step_maps import LinearField, decades
from manypaths.training import Training

NOISY = ("coordinatewise", "coordinatewise, noisy")
GAMES = {"smoke": ("bilinear", *NOISY), "laptop": (*ARENAS,), "paper": (*ARENAS,)}
WHOLE = {"smoke": (0.25, 0.5), "laptop": (0.125, 0.25, 0.5, 1.0), "paper": (0.0625, 0.125, 0.25, 0.5, 0.75, 1.0)}
"""Step sizes of the methods that take the whole sum, in units of 1 / L."""
SAMPLED = {"smoke": (0.25, 0.5), "laptop": (0.125, 0.25, 0.5), "paper": (0.0625, 0.125, 0.25, 0.5, 0.75)}
"""Those of the methods that draw component functions, in units of 1 / mean L_i."""
SEEDS = {"smoke": 2, "laptop": 4, "paper": 10}
PASSES = {"smoke": 40, "laptop": 400, "paper": 2000}
LONG = {"smoke": 1200, "laptop": 4000, "paper": 20000}
"""Passes of the runs that are held against theory: the modes that are not the slowest must have died out."""
LONG_STEPS = (0.5, 1.0)
FLOOR, STILL_FLOOR, CEILING = 1e-11, 1e-120, 1e30
"""A run is read while its distance, relative to the first, is between a floor (of rounding; of the underflow of
squares, where there is no rounding) and the ceiling."""
MARGIN = 0.02
CONVERGE = (
    *("extragradient", "extragradient, two step sizes", "past extragradient", "optimistic gradient"),
    *("lookahead, alternating", "lookahead, extragradient", "alternating extrapolation", "negative momentum"),
    *("competitive", "consensus", "symplectic"),
)
"""What is said to converge on a deterministic bilinear game."""
REDUCED = ("SVRE", "SVRE, restarted", "extragradient with VR", "SVRE, stored at visits")
"""What is said to converge on the noisy game on which stochastic extragradient diverges."""
SPREAD = 0.001
"""Assumed standard deviation, over seeds, of a rate on the noisy games."""
SECONDS = {"together": 1e-3, "alone": 9e-4}
"""Per step of all runs of a cell together, or of one run."""
PRICE_WHOLE, PRICE_SAMPLED = 1.5, 0.25
"""Passes of a step, roughly."""

Run = tuple[float, int]
"""The step size, in the method's unit, and the seed."""


def study() -> Study:
    """Which method converges on which game, how fast at equal cost, and is it what theory says?"""
    return Study(
        name="method-zoo",
        question="Which method converges on which game, how fast at equal cost, and is it what theory says?",
        cells=cells,
        claims=claims,
        figures={"best": draw_best, "common": draw_common, "theory": draw_theory},
    )


# ---- what is computed --------------------------------------------------------------------------------------------


@versioned(1)
def rates(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """One method on one game: a row for every step size and seed.

    ``rate`` is in decades per pass, negative where the distance grows; ``gain`` the decades of the last half of the
    run; ``end`` how many decades farther it ended than it began; ``per_step`` the rate in decades per step, over
    ``steps`` steps; ``theory`` that of the method's matrix, where there is one.
    """
    method, arena = METHODS[settings["method"]], ARENAS[settings["game"]]()
    grid = [(lr, seed) for lr in settings["steps"] for seed in range(settings["seeds"])]
    floor = FLOOR if arena.still is None or method.samples else STILL_FLOOR
    rows = []
    for runs in [[run] for run in grid] if method.alone else [grid]:
        training = _training(method, arena, runs)
        passes, distance = followed(training, method.plays(arena).solution(), settings["passes"], floor)
        for i, (lr, seed) in enumerate(runs):
            found = fitted(passes[:, i], distance[:, i], floor)
            rows.append({"lr": lr, "seed": seed, **found, "theory": predicted(method, arena, lr)})
    return {name: [row[name] for row in rows] for name in rows[0]}


def predicted(method: Method, arena: Arena, lr: float) -> float:
    """Decades per step of the method's matrix for the field's derivative at the solution, if it is invertible."""
    if method.step is None or torch.linalg.matrix_rank(arena.matrix) < len(arena.matrix):
        return math.nan
    return decades(method.step, LinearField(arena.matrix, arena.game.dims, lr * method.unit(arena))) / method.period


def followed(training: Training, solution: Tensor, budget: float, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Passes spent and distance to the solution, relative to the first, after every step: (steps + 1, runs) each.

    It ends when the mean budget is spent, or when every run has left the range in which distances are read.
    """
    game, passes, distances = training.game, [], []
    while True:
        distances.append((joined(game.point(), game.players) - solution).norm(dim=-1).reshape(-1))
        passes.append(_passes(training, len(distances[0])))
        relative = distances[-1] / distances[0]
        if passes[-1].mean() >= budget or not ((relative > floor) & (relative < CEILING)).any():
            return torch.stack(passes).numpy(), (torch.stack(distances) / distances[0]).numpy()
        training.step()


def fitted(passes: np.ndarray, distance: np.ndarray, floor: float) -> dict[str, float]:
    """The slope of log10 distance over the last half of the passes in which it is between floor and ceiling."""
    out = np.flatnonzero(~((distance > floor) & (distance < CEILING)))
    x, y = (values[: out[0]] if len(out) else values for values in (passes, np.log10(np.maximum(distance, floor))))
    if len(x) < 3:
        rate = math.inf if distance[out[0]] <= floor else -math.inf
        return {"rate": rate, "gain": rate, "end": -rate, "per_step": rate, "steps": 1}
    late = x >= x[-1] / 2
    x, y = x[late], y[late]
    rate, per_step = (-float(np.polyfit(axis, y, 1)[0]) for axis in (x, np.arange(len(x))))
    return {
        "rate": rate,
        "gain": rate * float(x[-1] - x[0]),
        "end": float(y[-1]),
        "per_step": per_step,
        "steps": len(x) - 1,
    }


def _training(method: Method, arena: Arena, runs: Sequence[Run]) -> Training:
    """All runs as one population, or a single one of a method that serves none."""
    game, seeds = method.plays(arena), [seed for _, seed in runs]
    scale, starts = method.unit(arena), torch.stack([arena.offset(seed) for seed in seeds]) + game.solution()
    source = lambda seed: IndexSource(game.size, seed=seed)  # noqa: E731
    if method.alone:
        ((lr, seed),) = runs
        players, sources, shares, starts = game, source(seed), None, starts[0]
        scale *= lr
    else:
        players, sources = Population([game] * len(runs), seeds=seeds), PopulationSource.of(source, seeds)
        shares = {name: torch.tensor([lr for lr, _ in runs], dtype=torch.float64) for name in game.players}
    players.move_to({name: [part] for name, part in game.split(starts).items()})
    optimizers = {name: method.base(players.parameters(name), lr=scale) for name in players.players}
    oracle, rule = method.oracle(Seat(arena, sources, seeds[0])), method.rule(tuple(game.players))
    averages = {"uniform": UniformAverage(restart=method.restart)} if method.restart else None
    return Training(players, oracle, rule, Optimizers(optimizers, rates=shares), averages=averages, seed=seeds[0])


def _passes(training: Training, runs: int) -> Tensor:
    """The cost so far, the mean over the players, in full gradients, (runs,)."""
    counts = [torch.as_tensor(training.oracle.evaluations.get(name, 0)).expand(runs) for name in training.game.players]
    return torch.stack(counts).double().mean(0) / (training.oracle.source.size or 1)


# ---- the study ---------------------------------------------------------------------------------------------------


def cells(scale: str) -> list[Cell]:
    """A race of all methods on all games, and long runs of those that theory speaks about."""
    made = []
    for game in GAMES[scale]:
        components = ARENAS[game]().game.size
        for name, method in METHODS.items():
            if components > 1 or not method.samples:
                steps = SAMPLED[scale] if method.samples else WHOLE[scale]
                made.append(_cell("race", name, game, steps, SEEDS[scale], PASSES[scale]))
            if game in LINEAR and method.step is not None:
                made.append(_cell("long", name, game, LONG_STEPS, 1, LONG[scale]))
    return made


def _cell(run: str, name: str, game: str, steps: Sequence[float], seeds: int, passes: int) -> Cell:
    method, runs = METHODS[name], len(steps) * seeds
    taken = passes / (PRICE_SAMPLED if method.samples else PRICE_WHOLE)
    return Cell(
        f"{__name__}:rates",
        {"method": name, "game": game, "steps": steps, "seeds": seeds, "passes": passes},
        labels={"run": run, "method": name, "game": game},
        evaluations=2 * ARENAS[game]().game.size * passes * runs,
        seconds=taken * (SECONDS["alone"] * runs if method.alone else SECONDS["together"]),
    )


def claims(scale: str) -> list[Claim]:
    return [*_of_theory(scale), *_of_bilinear(), *_of_noise(scale)]


def _of_theory(scale: str) -> list[Claim]:
    return [
        Claim(
            name=f"theory, {game}",
            statement=f"{game}: each method's rate is that of its matrix, up to {MARGIN:.0%} of the decades fitted",
            statistic=Exact(function=largest_error, where={"run": "long", "game": game}),
            expected=below(MARGIN),
        )
        for game in LINEAR
        if game in GAMES[scale]
    ]


def _of_bilinear() -> list[Claim]:
    where = {"run": "long", "game": "bilinear"}
    return [
        Claim(
            name="bilinear, simultaneous",
            statement="simultaneous gradient play diverges on the deterministic bilinear game at every step size tried",
            statistic=Exact(function=highest_gain, where={**where, "run": "race", "method": "simultaneous"}),
            expected=below(-GROWN),
        ),
        *(
            Claim(
                name=f"bilinear, {name}",
                statement=f"{name}: converges on the deterministic bilinear game at some step size",
                statistic=Exact(function=highest_gain, where={**where, "method": name}),
                expected=above(FALLEN),
            )
            for name in CONVERGE
        ),
    ]


def _of_noise(scale: str) -> list[Claim]:
    """Of methods that draw component functions, about the rate at the best step size tried."""
    noiseless, noisy = NOISY
    said = {
        (noisy, "stochastic extragradient"): False,
        **{(noisy, name): True for name in REDUCED},
        (noiseless, "stochastic extragradient"): False,
        (noiseless, "stochastic two step sizes"): True,
        (noiseless, "same-sample extragradient"): True,
    }
    return [
        Claim(
            name=f"{game}, {name}",
            statement=f"{game}: {name} {'falls at some step size' if falls else 'grows at every step size tried'}",
            statistic=Bootstrap(
                per_seed=rate_by_step,
                summary=highest_mean,
                n=SEEDS[scale],
                spread=SPREAD,
                where={"run": "race", "game": game, "method": name},
            ),
            expected=above(0.0) if falls else below(0.0),
        )
        for (game, name), falls in said.items()
    ]


def largest_error(table: Table) -> float:
    """|measured - predicted| decades of the fitted stretch, relative to the predicted where these are more than 1."""
    measured, expected = (table[name] * table["steps"] for name in ("per_step", "theory"))
    return float(np.max(np.abs(measured - expected) / np.maximum(1.0, np.abs(expected))))


def highest_gain(table: Table) -> float:
    """Decades of the last half at the best step size."""
    return float(table["gain"].max())


def rate_by_step(rows: Table) -> list[float]:
    return rows["rate"].tolist()


def highest_mean(rates: np.ndarray) -> float:
    """(seeds, step sizes) -> the mean rate at the step size where it is highest."""
    return float(rates.mean(0).max())
