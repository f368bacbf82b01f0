"""The noise counterexample of SVRE: stochastic extragradient grows at every step size, by a factor known exactly.

The game is min_x max_y 1/n sum_i x_i y_i (A_i = e_i e_i', no linear terms). One step sees component function i in
the first and component function j in the second half-step. Coordinate j of (x, y) is turned and scaled:

    i != j:  |(x_j, y_j)|^2 grows by the factor 1 + eta^2
    i == j:  by (1 - c eta^2)^2 + eta^2, with an extrapolation c times as long as the update

Averaged over the n^2 pairs (or the n samples) every coordinate has the same factor, so ||w||^2 has it for *every* w:
no average over w is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell, versioned
from manypaths.experiments.claims import Claim, above, below, within
from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.statistics import Bootstrap, Exact
from manypaths.experiments.tables import Table
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.oracles.base import Oracle
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.stochastic import Stochastic
from manypaths.rules.extragradient import Extragradient
from manypaths.sources.base import FiniteSource, Index, IndexSource
from manypaths.training import Training
from manypaths.vectors import squared_norm

VARIANTS = {
    "independent": "independent samples",
    "same": "same sample twice",
    "two-step": "independent, extrapolating n times as far",
    "batch": "full batch",
}
SIZES = {"smoke": (2, 10), "laptop": (2, 10, 100), "paper": (2, 10, 100)}
STARTS = {"smoke": 1, "laptop": 1, "paper": 5}
SEEDS = {"smoke": 40, "laptop": 400, "paper": 4000}
SEEDS_PER_CELL = 20
STEP_SIZES = (0.1, 0.3, 0.9)
SAMPLED: dict[str, Any] = {"n": 10, "eta": 0.3, "steps": 20}
MARGIN = 0.05
SPREAD = 0.06
"""Assumed standard deviation, over seeds, of ||w_T||^2 relative to its predicted mean."""
SECONDS_PER_STEP = 1.2e-3


def study() -> Study:
    """Does noise make extragradient diverge on a bilinear game, by exactly the derived factor? (P2.1)"""
    return Study(
        name="noise-counterexample",
        question="Does noise make extragradient diverge on a bilinear game, by exactly the derived factor?",
        cells=cells,
        claims=claims,
        figures={"growth": draw_growth},
    )


# ---- what is predicted -------------------------------------------------------------------------------------------


def predicted(variant: str, n: Any, eta: Any) -> Any:
    """E||w_{t+1}||^2 / ||w_t||^2 - 1; works on arrays.

    independent samples: (1/n)(1 - 1/n) eta^2 + (1/n^2)(eta^2 - 2 c eta^2 + c^2 eta^4), c = 1 or, for two-step, c = n,
    which is below 0 if and only if eta^2 < 1/n; same sample: (1/n)(eta^4 - eta^2); full batch: e^4 - e^2 with
    e = eta / n.
    """
    if variant == "batch":
        return (eta / n) ** 4 - (eta / n) ** 2
    if variant == "same":
        return (eta**4 - eta**2) / n
    c = n if variant == "two-step" else 1.0
    return (1 - 1 / n) * eta**2 / n + (eta**2 - 2 * c * eta**2 + c**2 * eta**4) / n**2


# ---- what is computed --------------------------------------------------------------------------------------------


class ScriptedSource(FiniteSource):
    """A source that plays given indices instead of drawing them."""

    def __init__(self, size: int):
        self.size, self.seed = size, 0
        self.script: list[int] = []

    def take(self, index: Tensor) -> Index:
        return Index(index)

    def sample(self, n: int) -> Index:
        return self.take(torch.tensor([self.script.pop(0) for _ in range(n)]))


@versioned(1)
def enumerated(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """The mean growth of ||w||^2 in one step from a generic w, over every sample or pair of samples there is."""
    n = settings["n"]
    source = ScriptedSource(n)
    oracle = FullBatch(source) if settings["variant"] == "batch" else Stochastic(source, batch=1)
    training = _training(settings, oracle, start=settings["start"])
    start = training.game.point()
    before, after = _squared_norm(training), []
    for script in _scripts(settings["variant"], n):
        source.script = list(script)
        training.step()
        after.append(_squared_norm(training))
        training.game.move_to(start)
    return {"growth": float(np.mean(after)) / before - 1, "draws": len(after)}


@versioned(1)
def sampled(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """||w_T||^2 / ||w_0||^2 of runs that draw their samples, one row per seed."""
    seeds = range(settings["first"], settings["first"] + settings["count"])
    ratios = []
    for seed in seeds:
        source = IndexSource(settings["n"], seed=seed)
        training = _training(settings, Stochastic(source, batch=1), start=0)
        before = _squared_norm(training)
        for _ in range(settings["steps"]):
            training.step()
        ratios.append(_squared_norm(training) / before)
    return {"seed": list(seeds), "ratio": ratios}


def _training(settings: Mapping[str, Any], oracle: Oracle, *, start: int) -> Training:
    n, variant = settings["n"], settings["variant"]
    game = Bilinear.coordinatewise(n, noise=False, seed=start)
    rule = Extragradient(fresh_sample=variant != "same", extrapolation=float(n) if variant == "two-step" else 1.0)
    optimizers = {name: torch.optim.SGD(game.parameters(name), lr=settings["eta"]) for name in game.players}
    return Training(game, oracle, rule, optimizers)


def _scripts(variant: str, n: int) -> Iterator[tuple[int, ...]]:
    """Every sequence of samples that one step can draw, each as likely as the others."""
    return product(range(n), repeat={"batch": 0, "same": 1}.get(variant, 2))


def _squared_norm(training: Training) -> float:
    return sum(squared_norm(weights) for weights in training.game.point().values())


# ---- the study ---------------------------------------------------------------------------------------------------


def cells(scale: str) -> list[Cell]:
    exact = [
        _enumerated(variant, n, eta, start)
        for variant in VARIANTS
        for n in SIZES[scale]
        for eta in STEP_SIZES
        for start in range(STARTS[scale])
    ]
    steps: int = SEEDS_PER_CELL * SAMPLED["steps"]
    drawn = [
        Cell(
            f"{__name__}:sampled",
            {"variant": variant, **SAMPLED, "first": first, "count": SEEDS_PER_CELL},
            evaluations=4.0 * steps,
            seconds=SECONDS_PER_STEP * steps,
        )
        for variant in ("independent", "same")
        for first in range(0, SEEDS[scale], SEEDS_PER_CELL)
    ]
    return exact + drawn


def _enumerated(variant: str, n: int, eta: float, start: int) -> Cell:
    """An extragradient step costs two evaluations for each of two players; the batch method's, n times as many."""
    draws = sum(1 for _ in _scripts(variant, n))
    return Cell(
        f"{__name__}:enumerated",
        {"variant": variant, "n": n, "eta": eta / n**0.5 if variant == "two-step" else eta, "start": start},
        evaluations=4.0 * draws * (n if variant == "batch" else 1),
        seconds=SECONDS_PER_STEP * draws,
    )


def claims(scale: str) -> list[Claim]:
    exact = []
    for variant, name in VARIANTS.items():
        grows = variant == "independent"
        enumeration = {"function": "enumerated", "variant": variant}
        exact += [
            Claim(
                name=f"P2.1 {variant}, formula",
                statement=f"{name}: the enumerated growth factor equals its formula for every n and eta tried",
                statistic=Exact(function=largest_error, where=enumeration),
                expected=below(1e-12),
            ),
            Claim(
                name=f"P2.1 {variant}, sign",
                statement=f"{name}: ||w||^2 {'grows' if grows else 'shrinks'} at every n and eta "
                f"{'below 1 / sqrt(n) ' if variant == 'two-step' else ''}tried",
                statistic=Exact(function=lowest_growth if grows else highest_growth, where=enumeration),
                expected=above(0.0) if grows else below(0.0),
            ),
        ]
    return exact + [
        Claim(
            name=f"P2.1 {variant}, sampled",
            statement=f"{VARIANTS[variant]}: over {SAMPLED['steps']} drawn steps the mean of ||w||^2 is the formula's "
            f"up to {MARGIN:.0%}",
            statistic=Bootstrap(
                per_seed=relative_ratio,
                n=SEEDS[scale],
                spread=SPREAD,
                where={"function": "sampled", "variant": variant},
            ),
            expected=within(MARGIN, of=1.0),
            assumed=1.0,
        )
        for variant in ("independent", "same")
    ]


def largest_error(table: Table) -> float:
    errors = [abs(r["growth"] - predicted(r["variant"], r["n"], r["eta"])) for r in table.rows()]
    return max(errors)


def lowest_growth(table: Table) -> float:
    return float(table["growth"].min())


def highest_growth(table: Table) -> float:
    return float(table["growth"].max())


def relative_ratio(rows: Table) -> float:
    """||w_T||^2 / ||w_0||^2 of one seed over its predicted mean, the factor to the power of T."""
    (row,) = rows.rows()
    return row["ratio"] / (1 + predicted(row["variant"], row["n"], row["eta"])) ** row["steps"]


def draw_growth(table: Table) -> Any:
    """Growth against step size: the formulas as lines, the enumerations as points; a panel per n.

    The growth of a step spans decades on both sides of 0: the axis is logarithmic but for a linear stretch around 0.
    """
    exact = table.where(function="enumerated")
    sizes = sorted(set(exact["n"].tolist()))
    figure, panels = canvas(len(sizes), height=3.8, sharey=True)
    eta = np.geomspace(0.5 * exact["eta"].min(), 1.0, 400)
    for panel, n in zip(panels, sizes, strict=True):
        for colour, (variant, name) in zip(COLOURS, VARIANTS.items(), strict=False):
            points = exact.where(n=n, variant=variant)
            panel.plot(eta, predicted(variant, n, eta), color=colour, label=name)
            panel.plot(points["eta"], points["growth"], "o", color=colour)
        panel.axhline(0.0, color="#444444", linewidth=0.8)
        panel.set_xscale("log")
        panel.set_yscale("symlog", linthresh=1e-5)
        panel.set(title=f"n = {n:g}", xlabel="step size")
    figure.suptitle("lines: the formulas; points: every draw enumerated", fontsize=10)
    panels[0].set_ylabel("growth of E||w||² in one step")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
