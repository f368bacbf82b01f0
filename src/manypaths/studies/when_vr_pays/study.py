"""P2.9: when variance reduction pays, and what snapshots that adapt bring at equal cost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from manypaths.data.digits import Digits
from manypaths.data.mnist import Mnist
from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell
from manypaths.experiments.claims import Claim, above, below
from manypaths.experiments.runs import require_net
from manypaths.experiments.statistics import Bootstrap
from manypaths.games.adversarial import PLAYERS
from manypaths.metrics.frechet import Frechet
from manypaths.metrics.transport import SlicedWasserstein
from manypaths.specs import Spec
from manypaths.studies.when_vr_pays import results
from manypaths.studies.when_vr_pays.advice import advice
from manypaths.studies.when_vr_pays.figures import draw_critic, draw_generator, draw_layers, draw_races
from manypaths.studies.when_vr_pays.runs import (
    ARMS,
    BASE,
    OTHERS,
    PLAIN,
    RACES,
    SETTINGS,
    Setting,
    Size,
    raced,
    raced_arms,
    recipe,
)

CELLS = "manypaths.studies.when_vr_pays.runs"
SLOW = Setting(lr=1e-3)
SPREADS = {"log2 ratio": 0.5, "score": 0.15, "mean ratio": 0.3}
"""Assumed standard deviations over seeds."""
SECONDS = {"smoke": 0.003, "laptop": 0.007, "paper": 0.004}
"""Of an evaluation of both players' gradients, batch 50; at paper scale on a GPU."""
SECONDS_PER_CELL = {"smoke": 0.5, "laptop": 2.0, "paper": 60.0}

SIZES = {
    "smoke": Size(
        data=Spec(Digits, limit=200),
        side=8,
        count=200,
        latent=8,
        generator=4,
        critic=4,
        marks={"early": 1, "late": 2},
        ages=(2, 4, 8),
        draws=2,
        seeds=1,
        races=1,
        budget=40,
        check_every=4,
        noise_every=3,
        metric=Spec(SlicedWasserstein, space="pixels", directions=8),
        samples=32,
    ),
    "laptop": Size(
        data=Spec(Digits),
        side=8,
        count=1797,
        latent=32,
        generator=16,
        critic=16,
        marks={"early": 50, "late": 400},
        ages=(2, 4, 10, 20, 40, 80, 160),
        draws=16,
        seeds=5,
        races=6,
        budget=2000,
        check_every=20,
        noise_every=23,
        metric=Spec(Frechet),
        samples=2000,
    ),
    "paper": Size(
        data=Spec(Mnist),
        side=28,
        count=60_000,
        pixels="unit",
        latent=128,
        generator=128,
        critic=64,
        marks={"early": 1000, "late": 20_000},
        ages=(2, 4, 10, 20, 40, 80, 160, 320, 640, 1280, 2560),
        draws=32,
        seeds=3,
        races=5,
        budget=100_000,
        check_every=50,
        noise_every=101,
        metric=Spec(Frechet),
        samples=5000,
    ),
}
"""At paper scale the networks, data, pixels and batch of the SVRE authors' MNIST code."""


def study() -> Study:
    """P2.9: when does variance reduction pay? Its variance against the snapshot's age, and scores at equal cost."""
    return Study(
        name="when-vr-pays",
        question="How old may a snapshot become before variance reduction adds noise, on which networks and at which "
        "settings, and what do refreshes that adapt bring at equal cost?",
        cells=cells,
        claims=claims,
        figures={
            "ages-critic": draw_critic,
            "ages-generator": draw_generator,
            "layers": draw_layers,
            "equal-cost": draw_races,
        },
        pages={"advice": advice},
        ready=ready,
    )


def ready(scale: str) -> None:
    """The data, and the feature net where a score reads one."""
    data = SIZES[scale].data.build()
    data.load() if scale == "smoke" else require_net(data)


# ---- cells -------------------------------------------------------------------------------------------------------


def cells(scale: str) -> list[Cell]:
    size = SIZES[scale]
    return [*_ages(scale, size), *_races(scale, size)]


def _ages(scale: str, size: Size) -> Iterator[Cell]:
    measured = {"marks": dict(size.marks), "ages": list(size.ages), "draws": size.draws}
    steps = max(size.marks.values())
    evaluations = 5 * steps + len(size.marks) * (2 * max(size.ages) + 2 * size.draws * len(size.ages))
    for setting, seed in product(SETTINGS, range(size.seeds)):
        yield Cell(
            f"{CELLS}:ages",
            {"recipe": recipe(setting, size, seed=seed).to_plain(), **measured},
            labels={"setting": str(setting), "seed": seed, "epoch": size.epoch(setting)},
            evaluations=float(evaluations * setting.batch * len(PLAYERS)),
            seconds=evaluations * _evaluation(scale, setting) + SECONDS_PER_CELL[scale],
        )


def _races(scale: str, size: Size) -> Iterator[Cell]:
    for setting in RACES:
        for arm, seed in product(raced_arms(setting), range(size.races)):
            yield Cell(
                f"{CELLS}:race",
                {"recipe": raced(setting, arm, size, seed=seed).to_plain()},
                labels={"setting": str(setting), "arm": arm, "seed": seed},
                evaluations=float(size.budget * setting.batch * len(PLAYERS)),
                seconds=size.budget * _evaluation(scale, setting) + SECONDS_PER_CELL[scale],
            )


def _evaluation(scale: str, setting: Setting) -> float:
    """Seconds of both players' gradients on one mini-batch; a penalty is a second derivative of the critic."""
    return SECONDS[scale] * (0.3 + 0.7 * setting.batch / 50) * (1.0 if setting.penalty == "none" else 2.0)


# ---- claims ------------------------------------------------------------------------------------------------------


def claims(scale: str) -> list[Claim]:
    size = SIZES[scale]
    return [*_epoch(size), *_rate(size), *_prices(size), *_refreshes(size), *_scores(size)]


def _epoch(size: Size) -> Iterator[Claim]:
    said = (
        (BASE, "with BatchNorm", "passes 1 within one epoch", above(0.0)),
        (PLAIN, "without normalisation", "stays below 1 for one epoch", below(0.0)),
    )
    for (setting, where, what, expected), player, phase in product(said, PLAYERS, size.marks):
        yield Claim(
            name=f"P2.9 {where}, {player}, {phase}",
            statement=f"{where} the {player}'s variance ratio {what}, {phase} in training (log2 of the largest one)",
            statistic=_measured(results.largest(player, phase), size, setting=str(setting)),
            expected=expected,
        )


def _rate(size: Size) -> Iterator[Claim]:
    for player in PLAYERS:
        yield Claim(
            name=f"P2.9 learning rate, {player}",
            statement=f"a tenth of the learning rate lowers the {player}'s ratio at the age of one epoch, late in "
            "training (difference of log2)",
            statistic=_measured(results.after_an_epoch(player, "late", str(SLOW), str(BASE)), size),
            expected=below(0.0),
        )


def _prices(size: Size) -> Iterator[Claim]:
    said = (
        (BASE, "with BatchNorm", "a mini-batch of the same cost has less variance than SVRG", above(0.0)),
        (PLAIN, "without normalisation", "SVRG has less variance than a mini-batch of the same cost", below(0.0)),
    )
    for (setting, where, what, expected), player in product(said, PLAYERS):
        yield Claim(
            name=f"P2.9 price, {where}, {player}",
            statement=f"{where}, {player}: {what}, at the best age of refresh, late in training (log2 of the ratio)",
            statistic=_measured(results.best_price(player, "late"), size, setting=str(setting)),
            expected=expected,
        )


def _refreshes(size: Size) -> Iterator[Claim]:
    for (setting, where), arm in product(RACES.items(), ("adaptive", "both")):
        yield Claim(
            name=f"P2.9 mean ratio, {ARMS[arm].title}, {where}",
            statement=f"{where}: {ARMS[arm].title} keeps the ratio of either player below 1 in the mean over the run",
            statistic=_raced(results.mean_ratio(arm), size, setting, "mean ratio"),
            expected=below(1.0),
        )
    yield Claim(
        name="P2.9 mean ratio, SVRE, BatchNorm",
        statement="BatchNorm: with one snapshot an epoch a player's ratio is above 1 in the mean over the run",
        statistic=_raced(results.mean_ratio("svre"), size, BASE, "mean ratio"),
        expected=above(1.0),
    )


def _scores(size: Size) -> Iterator[Claim]:
    pairs = [("svre", "mini-batch"), *((arm, "svre") for arm in ("adaptive", "helps", "both"))]
    pairs += [(arm, "mini-batch") for arm in ("adaptive", "both", "adaptive-stored")]
    for setting, where in RACES.items():
        others = [("adaptive", other) for other in OTHERS if other in raced_arms(setting)]
        for arm, other in [*pairs, *others]:
            yield Claim(
                name=f"P2.9 score, {ARMS[arm].title} / {ARMS[other].title}, {where}",
                statement=f"{where}: at equal cost {ARMS[arm].title} ends with a better score than "
                f"{ARMS[other].title} (log of the ratio)",
                statistic=_raced(results.gain(arm, other), size, setting, "score"),
                expected=below(0.0),
            )


def _measured(read: Any, size: Size, **where: str) -> Bootstrap:
    return Bootstrap(per_seed=read, n=size.seeds, spread=SPREADS["log2 ratio"], where={"function": "ages", **where})


def _raced(read: Any, size: Size, setting: Setting, spread: str) -> Bootstrap:
    where = {"function": "race", "setting": str(setting)}
    return Bootstrap(per_seed=read, n=size.races, spread=SPREADS[spread], where=where)
