"""P2.4, P2.7: SVRE on MNIST beside the methods it is made of, the full-batch method, and later rivals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell
from manypaths.experiments.claims import Claim, above, below, within
from manypaths.experiments.statistics import Bootstrap
from manypaths.experiments.tables import Table
from manypaths.games.adversarial import PLAYERS
from manypaths.studies.svre_mnist import results
from manypaths.studies.svre_mnist.figures import draw_equal_cost, draw_factorial, draw_noise, draw_scores
from manypaths.studies.svre_mnist.runs import EVERY, JOINTLY, PUBLISHED, cell
from manypaths.studies.svre_mnist.sizes import SIZES, TRACKED, Size

MARGIN = math.log(1.25)
"""Equivalence: at every mark two mean Inception Scores are within a quarter of each other, 0.22 nats."""
SMALL = math.log(1.25)
"""An interaction below it is called small."""
LEARNT = math.log(2.0)
"""The information below which the full-batch method has learnt too little for its being tracked to mean much."""
BEST_LEARNT = 5.0
"""The Inception Score below which no verdict on images is worth much; real test images of the net have 9.8."""
FAR_BELOW = 1 / 4
FRACTION = 1 / 10
READ_OFF_MARGIN = 0.5
"""Of the reading 0.2; the rest is for another training of that MLP."""
SPREADS = {"score": 0.15, "moment": 0.7, "ratio": 0.5, "cost": 0.01, "read off": 0.3}
"""Assumed standard deviations over seeds: of a log score, a log of second moments, a variance ratio, a share, a score.
"""


def study() -> Study:
    """Does SVRE do on MNIST what full-batch extragradient does, at less cost, and thanks to what? (P2.4, P2.7)"""
    return Study(
        name="svre-mnist",
        question="Does SVRE do on MNIST what full-batch extragradient does, at a fraction of its cost, what do "
        "extragradient, variance reduction and Adam each contribute, and what is left of it at equal cost?",
        cells=cells,
        claims=claims,
        ready=lambda scale: SIZES[scale].setup.ready(),
        scales=tuple(SIZES),
        figures={
            "scores": draw_scores,
            "noise": draw_noise,
            "factorial": draw_factorial,
            "equal-cost": draw_equal_cost,
        },
    )


# ---- cells -------------------------------------------------------------------------------------------------------


def cells(scale: str) -> list[Cell]:
    size = SIZES[scale]
    return [_cell(size, name, seed) for name in size.arms for seed in range(size.seeds)]


def _cell(size: Size, name: str, seed: int) -> Cell:
    chosen, steps = EVERY[name], size.steps_of(name)
    every = size.tracking if name in TRACKED and size.tracking else size.every
    if size.published:
        recipe = size.setup.measured(PUBLISHED[name](), steps=steps, every=every, seed=seed)
    else:
        recipe = size.setup.recipe(chosen, batch=size.batch, steps=steps, every=every, seed=seed)
    return cell(
        recipe,
        {"arm": name, "equal_steps": size.steps, "equal_cost": size.cost},
        batch=size.batch,
        cost=steps * chosen.cost(size.parts),
        seconds=size.setup.seconds(chosen, batch=size.batch, steps=steps, every=every),
    )


# ---- claims ------------------------------------------------------------------------------------------------------


def claims(scale: str) -> list[Claim]:
    size = SIZES[scale]
    if size.published:
        pair = ("SVRE", "SE-A")
        return [*_read_off(size), *_noise(size, (pair,), ("SVRE",)), _at_equal_cost(size, *pair)]
    pairs = (("SVRE", "SE-A"), ("SVRE-A", "SE-A"))
    forms = _forms(size) if set(JOINTLY) <= set(size.arms) else ()
    return [*_tracks(size), *_noise(size, pairs, ("SVRE", "SVRE-A")), *_factors(size), *_rivals(size), *forms]


def _tracks(size: Size) -> Iterator[Claim]:
    reduced, full = TRACKED
    marks, last = list(range(size.tracking, size.full_steps + 1, size.tracking)), size.full_steps
    yield Claim(
        name="P2.4 tracks",
        statement=f"per update {reduced} tracks {full}, the same base and learning rate on the same finite sum: at "
        f"every mark up to {last:,} updates the mean log Inception Scores differ by less than {MARGIN:.2f}",
        statistic=_bootstrap(size, results.leads(reduced, full, marks), "score", results.widest, least=0.0),
        expected=below(MARGIN),
    )
    yield Claim(
        name="P2.4 learnt",
        statement=f"by then {full} has an Inception Score above 2, so that tracking it means something (mean log)",
        statistic=_bootstrap(size, results.own_information(full, "step", last), "score"),
        expected=above(LEARNT),
    )
    yield Claim(
        name="P2.4 cost",
        statement=f"{reduced} costs a fraction of what as many updates of {full} cost, snapshots included",
        statistic=_bootstrap(size, results.cost_share(reduced, full, last), "cost"),
        expected=below(FRACTION),
    )


def _noise(size: Size, pairs: tuple[tuple[str, str], ...], reduced: tuple[str, ...]) -> Iterator[Claim]:
    for name, other in pairs:
        for player in PLAYERS:
            yield Claim(
                name=f"P2.4 second moment, {name}, {other}, {player}",
                statement=f"the second moment of {name}'s estimate for the {player} stays below a quarter of {other}'s "
                f"at every mark up to {size.steps:,} updates (largest mean log of the ratio)",
                statistic=_bootstrap(
                    size, results.moment_ratios(name, other, player, size.marks), "moment", results.highest
                ),
                expected=below(math.log(FAR_BELOW)),
            )
    for name in reduced:
        for player in PLAYERS:
            yield Claim(
                name=f"P2.4 variance, {name}, {player}",
                statement=f"at the points that {name} comes to, its estimate for the {player} varies less than the "
                "mini-batch gradient there (median ratio)",
                statistic=_bootstrap(size, results.middle_ratio(name, player), "ratio"),
                expected=below(1.0),
            )


def _factors(size: Size) -> Iterator[Claim]:
    places: list[tuple[results.Axis, float, str]] = [
        ("step", size.steps, f"after {size.steps:,} updates"),
        ("cost", size.cost, f"after {size.cost:,g} mini-batch gradients"),
    ]
    for axis, at, where in places:
        for factors in results.EFFECTS:
            name, main = results.effect_name(factors), len(factors) == 1
            says = (
                f"{name} raises the log Inception Score (main effect in the 2 x 2 x 2 factorial)"
                if main
                else f"the interaction {name} in the log Inception Score is below {SMALL:.2f} in size"
            )
            yield Claim(
                name=f"P2.7 {name}, equal {axis}{'s' if axis == 'step' else ''}",
                statement=f"{where} {says}",
                statistic=_bootstrap(size, results.effect(factors, axis, at), "score"),
                expected=above(0.0) if main else within(SMALL),
            )


def _forms(size: Size) -> Iterator[Claim]:
    """Whether anything has learnt by the end, and the fourth factor: where the update gradient is taken."""
    yield Claim(
        name="learnt",
        statement=f"after {size.steps:,} updates the best of all arms has an Inception Score above {BEST_LEARNT:g}",
        statistic=_bootstrap(size, results.best_information(size.arms, size.steps), "score"),
        expected=above(math.log(BEST_LEARNT)),
    )
    for joint in JOINTLY:
        name = joint.partition(",")[0]
        yield Claim(
            name=f"P2.7 form, {name}",
            statement=f"after {size.steps:,} updates {name} scores above the same method in the joint form (mean "
            "difference of log Inception Scores)",
            statistic=_bootstrap(size, results.lead(name, joint, "step", size.steps), "score"),
            expected=above(0.0),
        )


def _rivals(size: Size) -> Iterator[Claim]:
    """All of them with Adam at the same learning rate."""
    for rival in ("SG-A", "SE-A", "lookahead-A", "optimistic-A", "anchored-A", "two-step-A"):
        yield _at_equal_cost(size, "SVRE-A", rival)
    yield _at_equal_cost(size, "stored-SVRE-A", "SVRE-A")


def _at_equal_cost(size: Size, name: str, other: str) -> Claim:
    return Claim(
        name=f"equal cost, {name}, {other}",
        statement=f"after {size.cost:,g} mini-batch gradients of each player {name} scores above {other} (mean "
        "difference of log Inception Scores)",
        statistic=_bootstrap(size, results.lead(name, other, "cost", size.cost), "score"),
        expected=above(0.0),
    )


def _read_off(size: Size) -> Iterator[Claim]:
    for name, scores in results.READ_OFF.items():
        at, value = max(scores.items())
        yield Claim(
            name=f"P2.4 poster, {name}",
            statement=f"{name}'s mean Inception Score at {at:,} updates is that read off the poster, {value:g} (up to "
            f"0.2), with an MLP of the same shape as feature net, up to {READ_OFF_MARGIN:g}",
            statistic=_bootstrap(size, results.score_at(name, at), "read off"),
            expected=within(READ_OFF_MARGIN, of=value),
        )
    early = min(results.READ_OFF["SVRE"])
    yield Claim(
        name="P2.4 poster, early",
        statement=f"at {early:,} updates SVRE scores above SE-A (mean difference of log Inception Scores)",
        statistic=_bootstrap(size, results.lead("SVRE", "SE-A", "step", early), "score"),
        expected=above(0.0),
    )


def _bootstrap(
    size: Size, per_seed: Callable[[Table], Any], spread: str, summary: Any = np.mean, *, least: float = -math.inf
) -> Bootstrap:
    return Bootstrap(per_seed=per_seed, summary=summary, n=size.seeds, spread=SPREADS[spread], least=least)
