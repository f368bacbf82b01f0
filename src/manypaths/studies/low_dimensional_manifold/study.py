"""P1.3, P1.4, P1.6 on data x = A z: how many settings train which game, and what a gradient penalty changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from typing import Any

import numpy as np

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell
from manypaths.experiments.claims import Claim, Region, above, below
from manypaths.experiments.statistics import Bootstrap, PairedShares
from manypaths.experiments.tables import Table
from manypaths.studies.low_dimensional_manifold.figures import draw_dynamics, draw_robustness, draw_spectrum
from manypaths.studies.low_dimensional_manifold.results import (
    REACHED,
    course_rises,
    setting_trains,
    thresholds,
)
from manypaths.studies.low_dimensional_manifold.runs import ARMS, GAMES, JACOBIAN_BATCH
from manypaths.studies.many_paths import TITLES, end

CELLS = "manypaths.studies.low_dimensional_manifold.runs"

PENALISED = ("gan-gp", "dragan-ns")
K = 3
"""Dimension of the manifold and of the generator's latent."""
DIMENSIONS = {"smoke": (10,), "laptop": (10, 100), "paper": (10, 100)}
CRITIC_STEPS = {"smoke": (1,), "laptop": (1, 5), "paper": (1, 5, 10)}
BETA1 = {"smoke": (0.0,), "laptop": (0.0, 0.9), "paper": (0.0, 0.5, 0.9)}
RATES = {
    "smoke": (1e-3, 1e-2),
    "laptop": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    "paper": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
}
SEEDS = {"smoke": 1, "laptop": 5, "paper": 9}
"""Odd: a setting trains where most of its seeds do."""
HIDDEN = {"smoke": (8,), "laptop": (32, 32), "paper": (128, 128)}
BATCH = {"smoke": 16, "laptop": 32, "paper": 128}
STEPS = {"smoke": 10, "laptop": 3000, "paper": 20_000}
"""Of the generator."""
MARKS = {"smoke": 5, "laptop": 60, "paper": 200}

MANY_STEPS = 5
"""Of the critic, where penalties help: what they change in the dynamics is looked at there."""
SWITCH_RATES = {"smoke": (1e-3,), "laptop": (1e-3, 3e-3, 1e-2), "paper": (1e-3, 3e-3, 1e-2)}
SWITCH_SEEDS = {"smoke": 2, "laptop": 8, "paper": 20}
SWITCH = {"smoke": 5, "laptop": 1000, "paper": 5000}
"""K: the step at which the penalty is switched on or off."""

SPECTRUM = {
    "smoke": {"d": 4, "hidden": (6,), "steps": 5},
    "laptop": {"d": 10, "hidden": (8, 8), "steps": 500},
    "paper": {"d": 20, "hidden": (16, 16), "steps": 2000},
}
"""Networks small enough for all eigenvalues."""
SPECTRUM_RATE = 3e-3

RISES = 0.2
"""What is called a large share of intervals; chance alone gives 1 / 32 (see ``Course``)."""
DISCORDANT = 0.3
SPREADS = {"rises": 0.15, "switch": 0.5, "spectrum": 0.5}
"""Assumed: the share of settings that only one of two games trains at, and standard deviations."""
SECONDS = {"plain": (1.5e-4, 4e-10), "penalised": (2.2e-4, 6e-10)}
"""Per evaluation of a member; and per evaluation, sample and weight of the critic."""
SECONDS_PER_MARK, SECONDS_PER_PRODUCT = 2.5e-5, 5e-3
"""Per member, mark and dimension (and 30); per row of a Jacobian."""


def study() -> Study:
    """At how many settings does a GAN learn a low-dimensional manifold, and what do penalties change? (P1.3 ff.)"""
    return Study(
        name="low-dimensional-manifold",
        question="At how many settings does each game bring a generator onto data x = A z, does the Frechet distance "
        "rise on the way, and what does a gradient penalty change in the dynamics?",
        cells=cells,
        claims=claims,
        figures={"robustness": draw_robustness, "spectrum": draw_spectrum, "dynamics": draw_dynamics},
        pages={"thresholds": thresholds},
    )


# ---- cells -------------------------------------------------------------------------------------------------------


def cells(scale: str) -> list[Cell]:
    return [*_robustness(scale), *_switched(scale), *_spectra(scale)]


def _common(scale: str) -> dict[str, Any]:
    every = STEPS[scale] // MARKS[scale]
    sizes = {"k": K, "hidden": HIDDEN[scale], "batch": BATCH[scale]}
    return {**sizes, "steps": STEPS[scale], "every": every}


def _robustness(scale: str) -> Iterator[Cell]:
    grid = product(GAMES, DIMENSIONS[scale], CRITIC_STEPS[scale], BETA1[scale])
    for game, d, critic_steps, beta1 in grid:
        place = {"game": game, "d": d, "critic_steps": critic_steps, "beta1": beta1}
        runs = {"rates": RATES[scale], "seeds": SEEDS[scale]}
        yield _stack("robustness", {**place, **_common(scale), **runs}, len(RATES[scale]) * SEEDS[scale])


def _switched(scale: str) -> Iterator[Cell]:
    for game, d in product(PENALISED, DIMENSIONS[scale]):
        place = {"game": game, "d": d, "critic_steps": MANY_STEPS, "beta1": 0.0, "switch": SWITCH[scale]}
        runs = {"rates": SWITCH_RATES[scale], "seeds": SWITCH_SEEDS[scale]}
        members = len(ARMS) * len(SWITCH_RATES[scale]) * SWITCH_SEEDS[scale]
        yield _stack("switched", {**place, **_common(scale), **runs}, members)


def _stack(name: str, settings: dict[str, Any], members: int) -> Cell:
    """A cell that trains one stack, with its cost."""
    d, batch, steps = settings["d"], settings["batch"], settings["steps"]
    penalised = GAMES[settings["game"]][1] is not None
    evaluations = members * steps * (settings["critic_steps"] + 1)
    weights = sum(a * b for a, b in pairwise((d, *settings["hidden"], 1)))
    fixed, slope = SECONDS["penalised" if penalised else "plain"]
    each = fixed + slope * batch * weights
    marks = members * (steps // settings["every"]) * SECONDS_PER_MARK * (30 + d)
    return Cell(f"{CELLS}:{name}", settings, evaluations=evaluations * batch, seconds=each * evaluations + marks)


def _spectra(scale: str) -> Iterator[Cell]:
    sizes, seeds = SPECTRUM[scale], SWITCH_SEEDS[scale]
    d, hidden = sizes["d"], sizes["hidden"]
    weights = sum((a + 1) * b for layers in ((K, *hidden, d), (d, *hidden, 1)) for a, b in pairwise(layers))
    for game in PENALISED:
        place = {"game": game, "k": K, "critic_steps": MANY_STEPS, "beta1": 0.0, "rate": SPECTRUM_RATE, "seeds": seeds}
        yield Cell(
            f"{CELLS}:spectra",
            {**place, **sizes, "batch": BATCH[scale]},
            evaluations=float(4 * seeds * weights * JACOBIAN_BATCH),
            seconds=4 * seeds * weights * SECONDS_PER_PRODUCT + SECONDS["penalised"][0] * 4 * seeds * sizes["steps"],
        )


# ---- claims ------------------------------------------------------------------------------------------------------


def claims(scale: str) -> list[Claim]:
    return [*_wider(scale), *_rising(scale), *_dynamics(scale)]


def settings_of(scale: str) -> int:
    """How many settings all games share."""
    return math.prod(len(axis[scale]) for axis in (DIMENSIONS, CRITIC_STEPS, BETA1, RATES))


def _wider(scale: str) -> Iterator[Claim]:
    for game, other in product(PENALISED, ("ns-gan", "wgan-gp")):
        yield Claim(
            name=f"P1.4 {TITLES[game]}, {TITLES[other]}",
            statement=f"{TITLES[game]} trains at more settings than {TITLES[other]} (difference of the shares; "
            f"most seeds end within {REACHED:g} of the data's variance)",
            statistic=PairedShares(
                per_trial=trained(game, other),
                n=settings_of(scale),
                discordant=DISCORDANT,
                where={"function": "robustness"},
            ),
            expected=above(0.0),
        )


def _rising(scale: str) -> Iterator[Claim]:
    for name, when, to_arrival in (("", "along runs that train", False), (", on the way", "until they arrive", True)):
        yield Claim(
            name=f"P1.3 rises{name}",
            statement=f"{when}, the Frechet distance rises in more than {RISES:.0%} of the intervals",
            statistic=Bootstrap(
                per_seed=lambda rows, to_arrival=to_arrival: course_rises(rows, to_arrival=to_arrival),
                summary=ratio,
                n=settings_of(scale),
                spread=SPREADS["rises"],
                by="setting",
                where={"function": "robustness"},
            ),
            expected=above(RISES),
        )


def _dynamics(scale: str) -> Iterator[Claim]:
    arms = (
        ("throughout", "on-on", "with the penalty from the start"),
        ("switched on", "off-on", "with the penalty from a checkpoint on, at equal divergence,"),
        ("first steps", "on-off", f"with the penalty for the first {SWITCH[scale]} steps only"),
    )
    measures = (
        ("spectrum", leftmost, "the leftmost eigenvalue of the game's Jacobian lies farther right"),
        ("contraction", mean_real, "gradient flow contracts volume faster"),
    )
    for game in PENALISED:
        title = TITLES[game]
        for d in DIMENSIONS[scale]:
            for name, arm, statement in arms:
                what = f"{title}, d = {d}: {statement} play ends nearer to the data than without (log of the ratio)"
                yield _claim(scale, f"{name}, {title}, d={d}", what, below(0.0), log_ratio(arm, d), game, "switched")
        for name, measure, statement in measures:
            what = f"{title}: at common points {statement} with the penalty than without"
            yield _claim(scale, f"{name}, {title}", what, above(0.0), gained(measure), game, "spectra")


def _claim(
    scale: str, name: str, statement: str, expected: Region, per_seed: Callable[[Table], float], game: str, cell: str
) -> Claim:
    spread = SPREADS["switch" if cell == "switched" else "spectrum"]
    where = {"function": cell, "game": game}
    statistic = Bootstrap(per_seed=per_seed, n=SWITCH_SEEDS[scale], spread=spread, where=where)
    return Claim(name=f"P1.6 {name}", statement=statement, statistic=statistic, expected=expected)


# ---- statistics --------------------------------------------------------------------------------------------------


def trained(game: str, other: str) -> Callable[[Table], tuple[bool, bool]]:
    """Whether the one and whether the other game trains at a setting."""
    return lambda rows: (setting_trains(rows.where(game=game)), setting_trains(rows.where(game=other)))


def ratio(values: np.ndarray) -> float:
    """The sum of the first column over that of the second; NaN of nothing."""
    rises, intervals = values.sum(0)
    return float(rises / intervals) if intervals else math.nan


def log_ratio(arm: str, d: int) -> Callable[[Table], float]:
    """One seed's mean, over learning rates, of log (end of the arm / end without any penalty), in one dimension."""

    def mean(rows: Table) -> float:
        places = [runs for _, runs in rows.where(d=d).groups("rate")]
        logs = [[math.log(end(runs.where(arm=name))) for name in (arm, "off-off")] for runs in places]
        return float(np.mean([one - without for one, without in logs]))

    return mean


def gained(measure: Callable[[np.ndarray], float]) -> Callable[[Table], float]:
    """One seed's mean, over common points, of what a measure of the spectrum gains with the penalty.

    In units of the largest eigenvalue without it.
    """

    def gain(rows: Table) -> float:
        gains = []
        for _, point in rows.groups("visited"):
            without, having = (eigenvalues(point.where(jacobian=jacobian)) for jacobian in ("off", "on"))
            gains.append((measure(having) - measure(without)) / np.abs(without).max())
        return float(np.mean(gains))

    return gain


def eigenvalues(rows: Table) -> np.ndarray:
    return rows["real"] + 1j * rows["imaginary"]


def leftmost(values: np.ndarray) -> float:
    """The smallest real part: the slowest contraction near a stationary point, or the fastest expansion."""
    return float(np.real(values).min())


def mean_real(values: np.ndarray) -> float:
    """tr J / D: gradient flow w' = -F(w) contracts volume at the rate tr J."""
    return float(np.real(values).mean())
