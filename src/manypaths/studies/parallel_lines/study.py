"""P1.1, P1.2, P1.3, P1.8: from a parallel, displaced line to the data's (see ``segments`` and ``runs``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell
from manypaths.experiments.claims import Claim, Region, above, below, within
from manypaths.experiments.statistics import Bootstrap, Exact, Proportion
from manypaths.experiments.tables import Table
from manypaths.studies.parallel_lines import results
from manypaths.studies.parallel_lines.figures import draw_points, draw_signal, draw_trace
from manypaths.studies.parallel_lines.runs import ALPHA, ARMS, BATCH, GAP_STEPS, PLAIN_RATE, arm_settings

CELLS = "manypaths.studies.parallel_lines.runs"

DISPLACEMENT, SMOOTHING = 1.0, 0.1
"""Of the start, in half-lengths of the data; and s of the divergences that need a density."""
SEEDS = {"smoke": 2, "laptop": 20, "paper": 100}
STEPS = {"smoke": 8, "laptop": 1500, "paper": 6000}
"""Of the generator."""
MARKS = {"smoke": 4, "laptop": 40, "paper": 120}
"""Observations, after the first."""
DIMENSIONS: dict[str, tuple[int, ...]] = {"smoke": (2,), "laptop": (2, 10), "paper": (2, 10, 100)}
GAP_READINGS = {"smoke": 1, "laptop": 8, "paper": 8}
"""After the first."""
CONTROL = "NS-GAN, trained critic, plain steps"
"""Played in the plane only."""
SPREADS = {
    "smoke": (0.1, 0.3),
    "laptop": (0.1, 0.125, 0.16, 0.2, 0.25, 0.35),
    "paper": (0.1, 0.125, 0.16, 0.2, 0.25, 0.35),
}
"""The s over which gradients are compared."""
DESCENTS = {"smoke": (0.1, 0.5), "laptop": (0.1, 0.2, 0.5), "paper": (0.1, 0.2, 0.5)}
WARM_UP = {"smoke": 5, "laptop": 500, "paper": 500}
DESCENT_STEPS = {"smoke": 8, "laptop": 400, "paper": 2000}

LARGE_SHARE = 0.1
"""Twice the rate of false rises."""
SUCCESSFUL = 0.5
"""Of the seeds: most of them."""
KEPT = float(np.log(0.5))
"""A gradient keeps its size if half of it is left."""
ROUNDING = 1e-12
SPREAD_OF_SHARE, SPREAD_OF_LOG = 0.1, 1.0
"""Assumed standard deviations over seeds."""
SECONDS_PER_GRADIENT, SECONDS_PER_OBSERVATION, SECONDS_PER_GAP = 3e-3, 5e-3, 1.2e-3
"""Of a population of 20; per observation and dimension beyond the plane; and per gap's gradient and member."""
SECONDS_PER_DESCENT = 8e-3


def study() -> Study:
    """Do GANs cross between disjoint lines where the JSD is flat, and do divergences rise on the way? (P1.1-3, P1.8)"""
    return Study(
        name="parallel-lines",
        question="Which games bring a generated line onto a parallel, displaced data line, where the JSD has no "
        "gradient, and do divergences rise on the way?",
        cells=cells,
        claims=claims,
        figures={"points": draw_points, "trace": draw_trace, "gradients": draw_signal},
    )


def cells(scale: str) -> list[Cell]:
    return [*_plays(scale), *_signals(scale), *_descents(scale)]


def _plays(scale: str) -> Iterator[Cell]:
    seeds, steps, marks = SEEDS[scale], STEPS[scale], MARKS[scale]
    for name, d in product(ARMS, DIMENSIONS[scale]):
        arm = ARMS[name]
        if name == CONTROL and d > 2:
            continue
        warm_up = WARM_UP[scale] if arm.warms_up else 0
        gradients = steps * (arm.critic_steps * (1 if arm.penalty is None else 2) + 1) + warm_up
        gaps = 2 * GAP_STEPS * seeds * (GAP_READINGS[scale] + 1) * arm.gaps
        yield Cell(
            f"{CELLS}:play",
            {
                **arm_settings(name),
                "dimension": d,
                "seeds": seeds,
                "steps": steps,
                "warm_up": warm_up,
                "marks": marks,
                "gap_every": max(1, marks // GAP_READINGS[scale]),
                "displacement": DISPLACEMENT,
                "smoothing": SMOOTHING,
            },
            evaluations=float(gradients * BATCH * seeds),
            seconds=max(seeds / 20, 0.5)
            * (SECONDS_PER_GRADIENT * gradients + SECONDS_PER_OBSERVATION * marks * (6 + d))
            + SECONDS_PER_GAP * gaps,
        )


def _signals(scale: str) -> Iterator[Cell]:
    seeds, warm_up = SEEDS[scale], WARM_UP[scale]
    for s, d in product(SPREADS[scale], DIMENSIONS[scale]):
        yield Cell(
            f"{CELLS}:signal",
            {
                **arm_settings("NS-GAN"),
                "s": s,
                "dimension": d,
                "seeds": seeds,
                "warm_up": warm_up,
                "displacement": DISPLACEMENT,
            },
            evaluations=float(warm_up * BATCH * seeds),
            seconds=SECONDS_PER_GRADIENT * warm_up * max(seeds / 20, 0.5),
        )


def _descents(scale: str) -> Iterator[Cell]:
    steps = DESCENT_STEPS[scale]
    for s in DESCENTS[scale]:
        settings = {"s": s, "steps": steps, "every": max(1, steps // MARKS[scale]), "rate": PLAIN_RATE}
        yield Cell(f"{CELLS}:descend", {**settings, "displacement": DISPLACEMENT}, seconds=SECONDS_PER_DESCENT * steps)


def claims(scale: str) -> list[Claim]:
    made = [*_flat(scale), *_smooth(scale)]
    for d in DIMENSIONS[scale]:
        made += _arrivals(scale, d)
        made += _rises(scale, d)
    return made


def _flat(scale: str) -> Iterator[Claim]:
    """What the divergence sees on the runs of NS-GAN."""
    runs = {"function": "play", "arm": "NS-GAN"}
    for name, statement, function in (
        ("JSD", "at every observation of every run the exact JSD is log 2", results.largest_gap_to_log_2),
        ("gradient", "and its central differences in random directions are 0", results.largest_slope),
    ):
        yield Claim(
            name=f"P1.1 NS-GAN, {name}",
            statement=f"NS-GAN: {statement}",
            statistic=Exact(function=function, where=runs),
            expected=below(ROUNDING),
        )


def _smooth(scale: str) -> Iterator[Claim]:
    """Smoothing the JSD does not help where the lines are far apart in units of s."""
    yield Claim(
        name="P1.1 smoothed JSD, gradient",
        statement="smoothed by N(0, s^2), the gradient of the JSD falls like exp(-d^2 / 8 s^2) / s: slope of its log "
        "over d^2 / 8 s^2",
        statistic=Exact(function=results.decay, where={"function": "signal"}),
        expected=within(0.1, of=-1.0),
    )
    yield Claim(
        name="P1.1 smoothed JSD, descent",
        statement="gradient steps on the JSD at the smallest s go less than a hundredth of the way",
        statistic=Exact(function=results.distance_covered, where={"function": "descend"}),
        expected=below(0.01),
    )
    for d in DIMENSIONS[scale]:
        yield Claim(
            name=f"P1.1 NS-GAN, signal, d={d}",
            statement=f"d = {d}: against a trained critic NS-GAN's gradient at the smallest s is at least half of that "
            "at the largest (log of the ratio)",
            statistic=_bootstrap(
                scale, results.log_ratio_over_s("ns"), SPREAD_OF_LOG, {"function": "signal", "dimension": d}
            ),
            expected=above(KEPT),
        )


def _arrivals(scale: str, d: int) -> Iterator[Claim]:
    for arm in ("NS-GAN", "GAN-GP", "DRAGAN-NS"):
        yield _share(
            scale,
            f"P1.1 {arm}, d={d}",
            arm,
            d,
            results.reached,
            f"most seeds end at a Frechet distance below {results.REACHED:g}",
        )
    for arm in ("M-GAN, trained critic", "M-GAN, trained critic, plain steps"):
        yield _share(
            scale,
            f"P1.2 {arm}, d={d}",
            arm,
            d,
            results.stalled,
            f"most seeds stay more than {results.STALLED:g} of the displacement away",
        )


def _rises(scale: str, d: int) -> Iterator[Claim]:
    where = {"function": "play", "arm": "NS-GAN", "dimension": d}

    def claim(name: str, statement: str, per_seed: Callable[[Table], float], spread: float, region: Region) -> Claim:
        statistic = _bootstrap(scale, per_seed, spread, where)
        return Claim(
            name=f"{name}, d={d}", statement=f"NS-GAN, d = {d}: {statement}", statistic=statistic, expected=region
        )

    for quantity in results.QUANTITIES:
        floor = f"a floor of {ALPHA:.0%} false rises" if quantity == "frechet" else "its tolerance"
        yield claim(
            f"P1.3 {quantity}",
            f"on the way of successful runs {quantity} rises by more than {floor} in a large share of the intervals",
            results.risen(quantity),
            SPREAD_OF_SHARE,
            above(LARGE_SHARE),
        )
    for name, column in (("field norm", "field_norm"), ("duality gap", "gap")):
        yield claim(
            f"P1.8 {name}",
            f"the {name} falls along successful runs (log of the last quarter's median over the first's)",
            results.log_change(column),
            SPREAD_OF_LOG,
            below(0.0),
        )
        yield claim(
            f"P1.8 {name}, on the way",
            f"the {name} falls from the start of successful runs to their arrival (log of the ratio)",
            results.log_change_on_the_way(column),
            SPREAD_OF_LOG,
            below(0.0),
        )
    yield claim(
        "P1.8 while divergences rise",
        "on the way of successful runs, on which divergences rise, the field norm falls in most of the intervals",
        results.falls_on_the_way("field_norm"),
        SPREAD_OF_SHARE,
        above(0.5),
    )


def _share(scale: str, name: str, arm: str, d: int, per_seed: Callable[[Table], bool], what: str) -> Claim:
    where = {"function": "play", "arm": arm, "dimension": d}
    statistic = Proportion(per_seed=per_seed, n=SEEDS[scale], where=where)
    return Claim(name=name, statement=f"{arm}, d = {d}: {what}", statistic=statistic, expected=above(SUCCESSFUL))


def _bootstrap(scale: str, per_seed: Callable[[Table], float], spread: float, where: dict[str, Any]) -> Bootstrap:
    n = SEEDS[scale]
    return Bootstrap(per_seed=per_seed, summary=results.mean_of_numbers, n=n, spread=spread, where=where)
