"""The cells of ``when_vr_pays``: variance ratios against the snapshot's age, and runs of equal cost."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch.optim import SGD, Adam

from manypaths.data.base import DataSet
from manypaths.experiments.cells import versioned
from manypaths.experiments.runs import FOREVER, last_score, placed, train
from manypaths.files import write_atomically
from manypaths.games.adversarial import PLAYERS, Adversarial
from manypaths.metrics.base import SampleMetric
from manypaths.metrics.gradient_noise import gradient_noise
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.dcgan import Size as Side
from manypaths.objectives import OBJECTIVES
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.penalties import PENALTIES
from manypaths.rules.anchored import Anchored
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.optimistic import Optimistic
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe
from manypaths.sources.paired import PairedSource
from manypaths.sources.pixels import Pixels
from manypaths.specs import Spec

WHOLE = "all"
"""The layer that stands for all layers of a player."""
FAR = 2.0
"""c of two-step-size extragradient."""
SCORES = 6
"""How often a run is scored on its way."""


@dataclass(frozen=True)
class Setting:
    """What the ratio may depend on; the defaults are the base setting, around which one factor at a time changes.

    Attributes:
        norm: of both networks; ``"spectral"`` is the critic's, beside BatchNorm in the generator.
        epochs: mean age of a snapshot at its refresh, in passes over the data.
        latents: ``"redrawn"`` at each refresh, or ``"fixed"``.
    """

    lr: float = 1e-2
    batch: int = 50
    norm: str = "batch"
    init: str = "dcgan"
    objective: str = "non-saturating"
    penalty: str = "none"
    latents: str = "redrawn"
    epochs: float = 1.0
    optimizer: str = "sgd"

    def __str__(self) -> str:
        """The settings that are not the base's."""
        changed = [(f.name, getattr(self, f.name)) for f in dataclasses.fields(self)]
        words = [f"{name}={value}".removesuffix(".0") for name, value in changed if value != getattr(Setting, name)]
        return " ".join(words) or "base"


BASE = Setting()
PLAIN = Setting(norm="none", init="xavier")
"""Without normalisation DCGAN's small initial weights let almost no gradient through."""
PLAIN_ADAM = replace(PLAIN, optimizer="adam", lr=1e-3)

FACTORS: dict[str, tuple[Setting, ...]] = {
    "learning rate": (Setting(lr=1e-3), BASE, Setting(lr=3e-2)),
    "batch": (Setting(batch=16), BASE, Setting(batch=100)),
    "normalisation": (BASE, Setting(norm="spectral"), Setting(norm="layer"), PLAIN),
    "initial weights, base": (BASE, Setting(init="xavier"), Setting(optimizer="adam", lr=1e-3), PLAIN_ADAM),
    "objective": (BASE, Setting(objective="hinge"), Setting(objective="least-squares")),
    "penalty, no normalisation": (
        *(PLAIN, replace(PLAIN, penalty="r1"), replace(PLAIN, penalty="gradient-penalty")),
        replace(PLAIN, objective="wasserstein", penalty="gradient-penalty"),
    ),
    "latents, refresh": (BASE, Setting(latents="fixed"), Setting(epochs=0.25), Setting(epochs=4.0)),
    "interactions": (
        *(replace(PLAIN, lr=1e-3), PLAIN, replace(PLAIN, lr=3e-2)),
        Setting(norm="spectral", objective="hinge"),
    ),
}
SETTINGS = tuple(dict.fromkeys(setting for settings in FACTORS.values() for setting in settings))


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the runs of a scale are.

    Attributes:
        data, side, count, pixels: the images, their side, how many, and the range of their floats.
        latent, generator, critic: length of a latent vector and widths.
        marks: phase -> the step at which ratios are measured.
        ages: of the snapshot, in mini-batches; even, for a step of extragradient draws two.
        draws: mini-batches per measurement.
        seeds, races: seeds per setting, and per arm of the comparison at equal cost.
        budget: evaluations of both players' mini-batch gradients in a run of equal cost.
        check_every: mini-batches between the measurements of the rules that adapt.
        noise_every: steps between the measurements of the ratio in a run of equal cost; prime, so that no snapshot's
            age is preferred.
        metric, samples: the score, and how many generated images it is read from.
    """

    data: Spec[DataSet]
    side: Side
    count: int
    pixels: Pixels = "symmetric"
    latent: int
    generator: int
    critic: int
    marks: Mapping[str, int]
    ages: tuple[int, ...]
    draws: int
    seeds: int
    races: int
    budget: int
    check_every: int
    noise_every: int
    metric: Spec[SampleMetric]
    samples: int

    def epoch(self, setting: Setting) -> int:
        """Mini-batches in one pass."""
        return self.count // setting.batch


def recipe(setting: Setting, size: Size, *, seed: int) -> Recipe:
    """SVRE at a setting: extragradient, a snapshot whose age is geometric, no restarts."""
    generator_norm = "batch" if setting.norm == "spectral" else setting.norm
    shared: dict[str, Any] = {"size": size.side, "init": setting.init}
    penalties = () if setting.penalty == "none" else (Spec(PENALTIES[setting.penalty]),)
    return Recipe(
        name="when-vr-pays",
        data=size.data,
        source=Spec(
            PairedSource,
            latent=size.latent,
            redraw="refresh" if setting.latents == "redrawn" else "never",
            pixels=size.pixels,
        ),
        game=Spec(
            Adversarial,
            generator=Spec(DcganGenerator, latent=size.latent, width=size.generator, norm=generator_norm, **shared),
            critic=Spec(DcganCritic, width=size.critic, norm=setting.norm, **shared),
            objective=Spec(OBJECTIVES[setting.objective]),
            penalties=penalties,
        ),
        oracle=Spec(SVRG, batch=setting.batch, schedule="geometric", every=setting.epochs * size.epoch(setting)),
        rule=Spec(Extragradient),
        optimizers={player: _base(setting) for player in PLAYERS},
        steps=max(size.marks.values()),
        seed=seed,
        log_every=max(1, max(size.marks.values()) // 10),
        noise_every=0,
        samples_every=0,
        checkpoint_every=max(1, min(500, max(size.marks.values()) // 5)),
    )


def _base(setting: Setting) -> Spec[Any]:
    if setting.optimizer == "adam":
        return Spec(Adam, lr=setting.lr, betas=(0.5, 0.9))
    return Spec(SGD, lr=setting.lr)


# ---- the ratio against the age -----------------------------------------------------------------------------------


@versioned(1)
def ages(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """Var(SVRG) / Var(mini-batch) against the snapshot's age, at each mark of one run, for each player and layer.

    At a mark the run goes on for a while from its checkpoint with a snapshot taken there, which is kept; then it goes
    on as if nothing had happened. A ratio that a run did not live to see is NaN.
    """
    chosen, rows = placed(Recipe.from_plain(settings["recipe"])), []
    for phase, steps in settings["marks"].items():
        kept = directory / f"{phase}.json"
        if not kept.exists():
            ended = train({"recipe": replace(chosen, steps=steps).to_plain()}, directory)["state"]
            alive = ended == "finished"
            found = excursion(Run.opened(directory / "run"), settings) if alive else []
            write_atomically(kept, json.dumps(found))
        found = json.loads(kept.read_text(encoding="utf-8"))
        seen = {(row["age"], row["player"]) for row in found}
        lost = [(age, player) for age in settings["ages"] for player in PLAYERS if (age, player) not in seen]
        found += [{"age": age, "player": player, "layer": WHOLE, "ratio": math.nan} for age, player in lost]
        rows += [{"phase": phase, **row} for row in found]
    return {name: [row[name] for row in rows] for name in rows[0]}


def excursion(run: Run, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Ratios at the given ages on the way that the run would take with a snapshot of now."""
    training = run.training
    game, oracle, rows = training.game, training.oracle, []
    assert isinstance(oracle, SVRG)
    oracle.take_snapshot(game)
    for age in settings["ages"]:
        while oracle.age < age:  # the rule alone: no refresh, no restart
            info = training.rule.step(game, oracle, training.optimizers)
            training.optimizers.end_step()
            if training.non_finite(info):
                return rows
        for name, noise in gradient_noise(game, oracle, draws=settings["draws"], layers=True).items():
            player, _, layer = name.partition("/")
            rows.append({"age": age, "player": player, "layer": layer or WHOLE, "ratio": noise.ratio})
    return rows


# ---- at equal cost -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arm:
    """One method: what it changes in SVRE with the geometric refresh.

    Attributes:
        title: as in a sentence.
        cost: mini-batch gradients of both players per step, roughly; says how often a run is scored.
        changes: settings of the recipe.
        rule: another rule.
        reduces: whether it reduces variance; without, every mini-batch has latents of its own.
        adapts: whether it measures the ratio.
    """

    title: str
    cost: float
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rule: Spec[Any] | None = None
    reduces: bool = True
    adapts: bool = False


ADAPTIVE = {"oracle.schedule": "adaptive", "oracle.every": None}
HELPS = {"oracle.when": "helps"}
STORED = {"oracle.store": "game"}
ARMS: dict[str, Arm] = {
    "mini-batch": Arm("plain SE", 2, reduces=False),
    "svre": Arm("SVRE", 5),
    "adaptive": Arm("SVRE, adaptive refresh", 6, ADAPTIVE, adapts=True),
    "helps": Arm("SVRE where it helps", 5, HELPS, adapts=True),
    "both": Arm("SVRE, adaptive, where it helps", 6, {**ADAPTIVE, **HELPS}, adapts=True),
    "stored": Arm("SVRE, stored gradients", 3, STORED),
    "adaptive-stored": Arm("SVRE, adaptive, stored", 4, {**ADAPTIVE, **STORED}, adapts=True),
    "lookahead": Arm("lookahead", 2, rule=Spec(Lookahead, inner=Spec(Extragradient), k=5), reduces=False),
    "optimistic": Arm("optimistic", 1, rule=Spec(Optimistic), reduces=False),
    "anchored": Arm("anchored", 2, rule=Spec(Anchored), reduces=False),
    "two-step": Arm("two step sizes", 2, rule=Spec(Extragradient, extrapolation=FAR), reduces=False),
}
OTHERS = ("lookahead", "optimistic", "anchored", "two-step")
"""Rules for games that need no variance reduction."""
RACES = {BASE: "BatchNorm", PLAIN_ADAM: "no normalisation, Adam"}
"""Where methods are compared at equal cost."""


def raced_arms(setting: Setting) -> list[str]:
    """The arms at a setting: all of them at the base setting."""
    return [name for name in ARMS if setting == BASE or name not in OTHERS]


def raced(setting: Setting, arm: str, size: Size, *, seed: int) -> Recipe:
    """The recipe of one arm; every arm ends with the same number of per-sample gradients."""
    chosen, svre = ARMS[arm], recipe(setting, size, seed=seed)
    changes = dict(chosen.changes)
    if not chosen.reduces:
        changes |= {"source.latents": "fresh", "oracle": Spec(Stochastic, batch=setting.batch)}
    if chosen.rule is not None:
        changes["rule"] = chosen.rule
    if chosen.adapts:
        changes["oracle.check_every"] = size.check_every
    every = math.ceil(size.budget / chosen.cost / SCORES)
    return replace(
        svre.with_(changes),
        metrics=(size.metric,),
        steps=FOREVER,
        evaluations=size.budget * setting.batch * len(PLAYERS),
        log_every=every,
        noise_every=size.noise_every if chosen.reduces else 0,
        evaluate_every=every,
        evaluate_samples=size.samples,
    )


@versioned(1)
def race(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """Train one arm to the end of the budget; rows of its score and of the variance ratios on the way."""
    columns = train({"recipe": placed(Recipe.from_plain(settings["recipe"])).to_plain()}, directory)
    nothing = [math.nan] * len(columns["step"])
    return {
        **{name: columns.get(name, nothing) for name in ("step", "evaluations")},
        "score": last_score(columns),
        **{f"ratio_{player}": columns.get(f"noise/{player}/ratio", nothing) for player in PLAYERS},
        "state": columns["state"],
    }
