"""P2.3: what variance-reduced methods cost on strongly monotone games, how that grows, and who wins where."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell
from manypaths.experiments.claims import Claim, above, below
from manypaths.experiments.statistics import Bootstrap, Exact
from manypaths.studies.monotone_rates.figures import draw_cost, draw_map
from manypaths.studies.monotone_rates.results import (
    COMPARED,
    best_at_an_end,
    configurations,
    exponent,
    log_ratio,
    share_reached,
    share_solved,
    slope,
    slope_per_component,
)
from manypaths.studies.monotone_rates.runs import FAMILIES, METHODS, MU, TARGET, grid, problem_of

CELLS = "manypaths.studies.monotone_rates.runs"
SIZES: dict[str, tuple[int, ...]] = {"smoke": (5, 20), "laptop": (10, 40, 160), "paper": (10, 40, 160, 640)}
CONDITIONING: dict[str, dict[str, tuple[int, ...]]] = {
    "smoke": {"potential": (3, 9), "mixed": (3, 9), "rotation": (3, 9)},
    "laptop": {"potential": (10, 30, 100), "mixed": (8, 20, 50, 120), "rotation": (4, 10, 25, 50)},
    "paper": {"potential": (10, 30, 100, 300), "mixed": (8, 20, 50, 120), "rotation": (4, 10, 25, 50, 100)},
}
"""L / mu."""
GAMES = {"smoke": 2, "laptop": 5, "paper": 10}
SEEDS = {"smoke": 4, "laptop": 8, "paper": 16}
"""Of the samples, per game and step size; their median is one cost."""
BUDGET = {"smoke": 2_000, "laptop": 10_000, "paper": 50_000}
"""Steps: of the stochastic method, and of what is tried with theoretical step sizes."""
UNBOUNDED = 10_000_000
MARGIN = 0.1
SPREAD = 0.05
"""Assumed standard deviation, over games, of an exponent and of a logarithm of a cost."""
SECONDS_PER_STEP = 7e-4


def study() -> Study:
    """What do variance-reduced methods cost on monotone games, and who wins where? (P2.3)"""
    return Study(
        name="monotone-rates",
        question=f"How do the evaluations until ||w - w*|| has fallen to {TARGET:g} of its start grow with n, L/mu and "
        "l/mu, and which method needs the fewest?",
        cells=cells,
        claims=claims,
        figures={"map": draw_map, "cost": draw_cost},
    )


# ---- the study ---------------------------------------------------------------------------------------------------


def cells(scale: str) -> list[Cell]:
    """Compared with tuned steps everywhere, with theoretical ones where they can be afforded; and plain sampling."""
    made = []
    for family, game in product(FAMILIES, range(1, GAMES[scale] + 1)):
        smallest, first = SIZES[scale][0], CONDITIONING[scale][family][0]
        for method, n, conditioning in product(COMPARED, SIZES[scale], CONDITIONING[scale][family]):
            made.append(_cell(scale, family, n, conditioning, method, game))
        for method, conditioning in _affordable(scale, family):
            made.append(_cell(scale, family, smallest, conditioning, method, game, step_size="theory"))
        made += [_cell(scale, family, smallest, first, "plain", game, noise=noise) for noise in (0.0, 1.0)]
    return made


def _affordable(scale: str, family: str) -> Iterator[tuple[str, int]]:
    """Where ln(1 / target) / (eta mu), the steps that the theory promises up to a constant, are within the budget."""
    for method, conditioning in product(COMPARED, CONDITIONING[scale][family]):
        if _promised(method, family, SIZES[scale][0], conditioning) <= BUDGET[scale]:
            yield method, conditioning


def _promised(method: str, family: str, n: int, conditioning: float) -> float:
    return -math.log(TARGET) / (METHODS[method].theory(problem_of(family, n, conditioning)) * MU)


def _cell(
    scale: str,
    family: str,
    n: int,
    conditioning: int,
    name: str,
    game: int,
    *,
    step_size: str = "tuned",
    noise: float = 1.0,
) -> Cell:
    method, problem = METHODS[name], problem_of(family, n, conditioning)
    tuned, noisy = step_size == "tuned", name == "plain" and noise > 0
    steps = method.steps(problem) if tuned else _promised(name, family, n, conditioning)
    steps = BUDGET[scale] if noisy else steps
    runs = SEEDS[scale] * (len(grid(problem)) if tuned else 1)
    place = {"family": family, "n": n, "conditioning": conditioning, "method": name, "step_size": step_size}
    budget = BUDGET[scale] if name == "plain" else UNBOUNDED
    return Cell(
        f"{CELLS}:cost",
        {**place, "noise": noise, "game": game, "seeds": SEEDS[scale], "budget": budget},
        evaluations=2 * method.evaluations(problem) * steps * runs,
        seconds=0.1 + SECONDS_PER_STEP * steps,
    )


def claims(scale: str) -> list[Claim]:
    made = [_grows(scale, name, family) for name, family in product(COMPARED, FAMILIES)]
    theory = {"method": "svre", "step_size": "theory"}
    made += [
        _claim(
            scale,
            "SVRE, theoretical steps",
            f"SVRE with steps 1 / (4 l), all families: c is not above 1 by more than {MARGIN:g} in cost ~ (l/mu)^c",
            below(1 + MARGIN),
            per_seed=configurations,
            summary=slope,
            where=theory,
        ),
        _claim(
            scale,
            "stochastic extragradient, noise",
            f"with noise at the solution no step size gets it to {TARGET:g} within {BUDGET[scale]} steps",
            below(0.05),
            per_seed=share_reached,
            where={"method": "plain", "noise": 1.0},
        ),
        _claim(
            scale,
            "stochastic extragradient, no noise",
            "without noise at the solution stochastic extragradient gets there",
            above(0.95),
            per_seed=share_solved,
            where={"method": "plain", "noise": 0.0},
        ),
        _cheaper(scale, "svre", "svrg", "rotation", hard=True, large=False),
        _cheaper(scale, "svrg", "svre", "potential", hard=True, large=False),
        _cheaper(scale, "svre", "batch", "mixed", hard=False, large=True),
        Claim(
            name="P2.3 grids",
            statement="no best step size lies at an end of its grid",
            statistic=Exact(function=best_at_an_end, where={"step_size": "tuned"}),
            expected=below(0.5),
        ),
    ]
    return made


def _claim(scale: str, name: str, statement: str, expected: Any, *, assumed: float | None = None, **how: Any) -> Claim:
    statistic = Bootstrap(n=GAMES[scale], spread=SPREAD, by="game", resamples=1000, **how)
    return Claim(name=f"P2.3 {name}", statement=statement, statistic=statistic, expected=expected, assumed=assumed)


def _grows(scale: str, name: str, family: str) -> Claim:
    """The exponent of one method on one family is not above that of its bound."""
    method, batch = METHODS[name], name == "batch"
    x = method.conditioning
    model = f"b n ({x})^c" if batch else f"a n + b {'sqrt(n) ' if method.size else ''}({x})^c"
    return _claim(
        scale,
        f"{method.title}, {family}",
        f"{method.title}, {family}: c is not above {method.exponent:g} by more than {MARGIN:g} in cost = {model}",
        below(method.exponent + MARGIN),
        per_seed=configurations,
        summary=slope_per_component if batch else exponent(method.size),
        where={"method": name, "family": family, "step_size": "tuned"},
    )


def _cheaper(scale: str, one: str, other: str, family: str, *, hard: bool, large: bool) -> Claim:
    n, conditioning = SIZES[scale][-1 if large else 0], CONDITIONING[scale][family][-1 if hard else 0]
    titles = METHODS[one].title, METHODS[other].title
    return _claim(
        scale,
        f"{titles[0]} or {titles[1]}, {family}",
        f"{family}, n = {n}, L/mu = {conditioning}: {titles[0]} costs less than {titles[1]} (log of the ratio)",
        below(0.0),
        per_seed=log_ratio(one, other),
        where={"family": family, "n": n, "conditioning": conditioning, "step_size": "tuned"},
    )


# ---- statistics --------------------------------------------------------------------------------------------------
