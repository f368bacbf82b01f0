"""The cells of the studies on pictures: one game at one setting, and what images that nobody generated score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from manypaths.experiments.cells import versioned
from manypaths.experiments.runs import SCORE, metric_name, placed, train
from manypaths.experiments.stand_ins import or_stand_in
from manypaths.games.adversarial import PLAYERS
from manypaths.metrics.base import SampleMetric
from manypaths.randomness import generator_for
from manypaths.recipes import RECIPES
from manypaths.registry import name_of
from manypaths.run.recipe import Recipe
from manypaths.run.scoring import Scorer
from manypaths.specs import Spec
from manypaths.studies.many_paths import BETA2
from manypaths.studies.pictures.results import MEAN, REAL

GAMES = {"ns-gan": "ns", "gan-gp": "gan-gp", "dragan-ns": "dragan-ns", "wgan-gp": "wgan-gp"}
"""As everywhere in the studies, and as the recipes call them."""
LOWEST, HIGHEST = 1e-4, 1e-3
"""Learning rates, of both players; the paper's lie between 1e-4 and 5e-4 or so."""
BETA1, CRITIC_STEPS = (0.0, 0.5, 0.9), (1, 5)


@dataclass(frozen=True)
class Setting:
    """What all games share, and the sampling unit; its number is the seed of weights, data and latents."""

    number: int
    lr: float
    beta1: float
    critic_steps: int

    def __str__(self) -> str:
        return f"lr={self.lr:g} beta1={self.beta1:g} critic_steps={self.critic_steps}"


def settings(n: int) -> list[Setting]:
    """The first n of one sequence: log-uniform learning rates; beta1 and the critic's steps take turns, six in all."""
    uniform = torch.rand(n, generator=generator_for(0, "settings"), dtype=torch.float64).tolist()
    rates = [float(f"{LOWEST * (HIGHEST / LOWEST) ** u:.3g}") for u in uniform]
    turns = [(BETA1[i // len(CRITIC_STEPS) % len(BETA1)], CRITIC_STEPS[i % len(CRITIC_STEPS)]) for i in range(n)]
    return [Setting(i, lr, *turn) for i, (lr, turn) in enumerate(zip(rates, turns, strict=True))]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the runs of a scale are.

    Attributes:
        settings: how many.
        width: filters, as ``DcganGenerator.width``.
        steps: of the generator.
        batch: real images, and as many generated, per step of a player.
        metrics: what is read at the end of a run.
        samples: how many generated images they are read from.
        held_out: training images kept out for the metrics to fit, where the data set has no validation part.
        limit: training images; none takes all.
    """

    settings: int
    width: int
    steps: int
    batch: int
    metrics: tuple[Spec[SampleMetric], ...]
    samples: int
    held_out: int = 5000
    limit: int | None = None


def recipe(data: str, game: str, setting: Setting, size: Size) -> Recipe:
    """A game's own recipe on a data set, at one setting and one size."""
    base = RECIPES[f"{data}-{GAMES[game]}"]()
    held_out = {"data.held_out": size.held_out} if base.data.accepts("held_out") else {}
    changed = base.with_(
        {
            **held_out,
            "data.limit": size.limit,
            "game.generator.width": size.width,
            "game.critic.width": size.width,
            "oracle.batch": size.batch,
            "rule.order": ("critic",) * setting.critic_steps + ("generator",),
            **{f"optimizers.{player}.lr": setting.lr for player in PLAYERS},
            **{f"optimizers.{player}.betas": (setting.beta1, BETA2) for player in PLAYERS},
        }
    )
    return replace(
        changed,
        averages={},
        metrics=size.metrics,
        steps=size.steps,
        seed=setting.number,
        log_every=max(1, size.steps // 20),
        samples_every=size.steps,
        checkpoint_every=max(1, min(500, size.steps // 20)),
        evaluate_every=size.steps,
        evaluate_samples=size.samples,
    )


@versioned(1)
def play(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """Train one game and score it at the end, going on from a checkpoint where there is one.

    One row: the data set it was, how the run ended, and its scores; without any where it diverged.
    """
    chosen = placed(_recipe(settings, directory))
    columns = train({"recipe": chosen.to_plain()}, directory)
    scores = {metric_name(name): values[-1] for name, values in columns.items() if name.startswith(SCORE)}
    return {"data": name_of(chosen.data.target), "state": columns["state"], **scores}


@versioned(1)
def anchors(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """The scores of training images, and of their mean image repeated, as if a game had generated them.

    They know no setting, and so stand at every one of the study's: what a run is compared with is beside it.
    """
    chosen = _recipe(settings, directory)
    real = chosen.data.build().load().real[: chosen.evaluate_samples]
    mean = real.to(torch.float32).mean(0).round().to(torch.uint8)
    scorer, rows = Scorer(chosen, samples=chosen.evaluate_samples), []
    for name, images in ((REAL, real), (MEAN, mean.expand_as(real))):
        scores = {metric_name(score.metric): score.value for score in scorer.scores(images)}
        rows += [{"setting": at, "critic_steps": k, "game": name, **scores} for at, k in settings["settings"]]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _recipe(settings: Mapping[str, Any], directory: Path) -> Recipe:
    chosen = Recipe.from_plain(settings["recipe"])
    return or_stand_in(chosen, directory, valid=0.25, test=0.25) if settings["stand_in"] else chosen
