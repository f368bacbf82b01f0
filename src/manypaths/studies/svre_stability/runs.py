"""The cells of ``svre_stability``: the recipes of *Reducing Noise* at settings that all methods share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from manypaths.experiments.cells import versioned
from manypaths.experiments.runs import FOREVER, last_score, placed, train
from manypaths.experiments.stand_ins import or_stand_in
from manypaths.games.adversarial import PLAYERS
from manypaths.metrics.base import SampleMetric
from manypaths.oracles.stochastic import Stochastic
from manypaths.randomness import generator_for
from manypaths.recipes import RECIPES
from manypaths.registry import name_of
from manypaths.rules.lookahead import Lookahead
from manypaths.run.recipe import Recipe
from manypaths.specs import Spec

NETS = {"shallow": "", "deep": "deep-"}
"""Kind of networks -> what the recipes' names have before the method's."""
FACTORS = (1 / 8, 8.0)
"""Of both learning rates; 1 is the recipes'."""
RATIOS = (1.0, 16.0)
"""The critic's learning rate over the generator's; the recipes have 4."""
FAR = 2.0
"""c of two-step-size extragradient."""
SIDE = 32


def _same(recipe: Recipe) -> Recipe:
    return recipe


def _plain_gradients(recipe: Recipe) -> Recipe:
    """Without variance reduction: every mini-batch has latents of its own, and there is no snapshot to restart at."""
    return replace(recipe.with_({"source.latents": "fresh", "oracle": Spec(Stochastic)}), averages={})


def _far(recipe: Recipe) -> Recipe:
    return recipe.with_({"rule.extrapolation": FAR})


def _looking_ahead(recipe: Recipe) -> Recipe:
    return recipe.with_({"rule": Spec(Lookahead, inner=recipe.rule)})


@dataclass(frozen=True)
class Method:
    """A method, by the recipe that it is made from.

    Attributes:
        title: as in a sentence.
        recipe: of the recipes' names.
        cost: mini-batch gradients of each player per step; says how often a run is scored.
        made: what it changes in the recipe.
        warm: starts from where SE-A stood at half of the budget, and spends the other half.
    """

    title: str
    recipe: str
    cost: int
    made: Callable[[Recipe], Recipe] = _same
    warm: bool = False


METHODS = {
    "svre": Method("SVRE", "svre", 5),
    "se": Method("SE", "svre", 2, _plain_gradients),
    "se-a": Method("SE-A", "se-a", 2),
    "sg-a": Method("SG-A", "sg-a", 1),
    "two-step": Method("two-step-size EG", "se-a", 2, _far),
    "lookahead": Method("lookahead", "sg-a", 1, _looking_ahead),
    "ws-svre": Method("WS-SVRE", "svre", 5, warm=True),
}
"""SE is SVRE without variance reduction: the same plain steps at the same rates."""
BASELINES = ("se", "se-a", "sg-a", "two-step", "lookahead")
ALONE = tuple(name for name, method in METHODS.items() if not method.warm and name != "se-a")
"""Methods with a cell of their own; SE-A shares one with what starts from it."""


@dataclass(frozen=True)
class Setting:
    """What all methods share, and the sampling unit; its number is the seed of weights, data and latents."""

    number: int
    factor: float
    ratio: float

    def __str__(self) -> str:
        return f"{self.number}: rates x {self.factor:g}, critic / generator = {self.ratio:g}"


def settings(n: int) -> list[Setting]:
    """The first n of one sequence; both numbers are log-uniform."""
    uniform = torch.rand(n, 2, generator=generator_for(0, "stability"), dtype=torch.float64).tolist()
    factors, ratios = ([_between(*span, row[i]) for row in uniform] for i, span in enumerate((FACTORS, RATIOS)))
    return [Setting(i, *drawn) for i, drawn in enumerate(zip(factors, ratios, strict=True))]


def _between(low: float, high: float, share: float) -> float:
    """low (high / low)^share, to three digits."""
    return float(f"{low * (high / low) ** share:.3g}")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the runs of a scale are.

    Attributes:
        settings: how many.
        nets: kind of networks -> filters of generator and critic.
        batch: samples per mini-batch.
        limit: training images; none takes all.
        budget: evaluations of both players' mini-batch gradients in a run.
        marks: scores on the way.
        metric, samples: the score, lower is better, and how many generated images it is read from.
    """

    settings: int
    nets: Mapping[str, tuple[int, int]]
    batch: int
    limit: int | None
    budget: int
    marks: int
    metric: Spec[SampleMetric]
    samples: int

    @property
    def evaluations(self) -> int:
        """The budget in per-sample gradients, summed over the players."""
        return self.budget * self.batch * len(PLAYERS)


def recipe(data: str, net: str, method: str, setting: Setting, size: Size) -> Recipe:
    """A method's own recipe, with the setting's rates, for the budget; fused steps in channels_last take less time."""
    chosen = METHODS[method]
    base = chosen.made(RECIPES[f"{data}-{NETS[net]}{chosen.recipe}"]())
    generator, critic = size.nets[net]
    lr = base.optimizers["generator"].settings["lr"] * setting.factor
    every = math.ceil(size.budget / chosen.cost / size.marks)
    changed = base.with_(
        {
            "data.limit": size.limit,
            "game.generator.width": generator,
            "game.critic.width": critic,
            "oracle.batch": size.batch,
            "optimizers.generator.lr": lr,
            "optimizers.critic.lr": lr * setting.ratio,
            "optimizers.generator.fused": True,
            "optimizers.critic.fused": True,
            "execution.memory": "channels_last",
        }
    )
    return replace(
        changed,
        name=f"{data}-{NETS[net]}{method}",
        averages={name: part for name, part in base.averages.items() if part.settings.get("restart")},
        metrics=(size.metric,),
        steps=FOREVER,
        evaluations=size.evaluations,
        seed=setting.number,
        log_every=every,
        noise_every=0,
        samples_every=0,
        checkpoint_every=max(1, min(500, every)),
        evaluate_every=every,
        evaluate_samples=size.samples,
    )


@versioned(1)
def play(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """Train one method to the end of the budget; a row per score."""
    chosen = _ready(settings["recipe"], settings["stand_in"], directory)
    rows = _rows(train({"recipe": chosen.to_plain()}, directory))
    return _columns([{"method": settings["method"], **row} for row in rows], chosen)


@versioned(1)
def warm(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """SE-A to the end of the budget, and SVRE from where it stood at half of it to the same end.

    The rows of both; what SE-A came to in the first half is part of the warm-started run.
    """
    cold, second = (_ready(settings[name], settings["stand_in"], directory) for name in ("recipe", "warm"))
    assert cold.evaluations is not None
    half, folder = cold.evaluations // 2, directory / "se-a"
    halfway = train({"recipe": replace(cold, evaluations=half).to_plain()}, folder)
    joined = _rows(halfway)
    if halfway["state"] != "diverged":  # else there is nowhere to go on from: the joined run has diverged, too
        joined = [row for row in joined if row["evaluations"] <= half + _step(cold) and math.isfinite(row["score"])]
        second = replace(second, start_from=str(folder / "run"), evaluations=cold.evaluations - half)
        later = _rows(train({"recipe": second.to_plain()}, directory / "ws-svre"))
        joined += [{**row, "evaluations": row["evaluations"] + half} for row in later]
        joined = [{**row, "state": later[-1]["state"]} for row in joined]
    whole = _rows(train({"recipe": cold.to_plain()}, folder))
    named = [("se-a", row) for row in whole] + [("ws-svre", row) for row in joined]
    return _columns([{"method": method, **row} for method, row in named], cold)


def _step(chosen: Recipe) -> int:
    """Per-sample gradients of a step of SE-A."""
    return 2 * len(PLAYERS) * chosen.oracle.settings["batch"]


def _rows(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scored marks, and the end of a run that came to none."""
    nothing = [math.nan] * len(columns["step"])
    spent = columns.get("evaluations", nothing)
    rows = [
        {"step": step, "evaluations": cost, "score": value, "state": columns["state"]}
        for step, cost, value in zip(columns["step"], spent, last_score(columns), strict=True)
    ]
    return [row for row in rows if math.isfinite(row["score"])] or rows[-1:]


def _columns(rows: list[dict[str, Any]], chosen: Recipe) -> dict[str, Any]:
    return {**{name: [row[name] for row in rows] for name in rows[0]}, "images": name_of(chosen.data.target)}


def _ready(plain: Mapping[str, Any], stand_in: bool, directory: Path) -> Recipe:
    """On the GPU where there is one; where it allows for a stand-in and its data are absent, with drawn pictures."""
    chosen = placed(Recipe.from_plain(plain))
    limit = chosen.data.settings.get("limit")
    return or_stand_in(chosen, directory, size=SIDE, test=0.25, limit=limit) if stand_in else chosen
