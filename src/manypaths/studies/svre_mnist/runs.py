"""The runs of the studies of variance reduction on images: arms that differ in the rule, the oracle and the base."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch.optim import SGD, Adam, Optimizer

from manypaths.data.base import DataSet
from manypaths.data.digits import Digits
from manypaths.data.mnist import Mnist
from manypaths.data.mnist_14 import Mnist14
from manypaths.experiments.cells import Cell, versioned
from manypaths.experiments.runs import placed, require_net, train
from manypaths.games.adversarial import PLAYERS
from manypaths.optim.averaging.base import Average
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.optim.vradam import VRAd
from manypaths.oracles.base import Oracle
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.recipes import mnist
from manypaths.rules.alternating import Alternating
from manypaths.rules.anchored import Anchored
from manypaths.rules.base import Rule
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.optimistic import Optimistic
from manypaths.run.recipe import Recipe
from manypaths.sources.paired import PairedSource
from manypaths.specs import Spec

OracleName = Literal["plain", "reduced", "stored", "full"]
OPTIMIZERS: dict[str, Spec[Optimizer]] = {
    "sgd": Spec(SGD, lr=1e-2),
    "adam": Spec(Adam, lr=1e-3, betas=(0.5, 0.999)),
    "vrad": Spec(VRAd, lr=1e-2),
}
"""The paper's plain step with variance reduction, the learning rate of its script for Adam with it, its VRAd."""
ORACLES: dict[str, Spec[Oracle]] = {
    "plain": Spec(Stochastic),
    "reduced": Spec(SVRG, schedule="svre"),
    "stored": Spec(SVRG, schedule="svre", store="game"),
    "full": Spec(FullBatch),
}
GRADIENT: Spec[Rule] = Spec(Alternating, order=("critic", "generator"))
EXTRA: Spec[Rule] = mnist.EXTRA
JOINT: Spec[Rule] = Spec(Extragradient)
"""The update gradient at each player's own weights, as the paper's GAN code has it, and at the joint half-step."""
AVERAGED = "uniform"
SECONDS_PER_GRADIENT = {28: (0.004, 5.5e-4, 32), 14: (0.004, 1.4e-4, 32), 8: (0.004, 7e-5, 16)}
"""By the images' side: of one mini-batch gradient of both players on one core, measured beside other work, a fixed part
and one per sample; and how many filters wide the generator was."""
SECONDS_PER_SCORE, SECONDS_PER_RUN = 2.3, 4.0


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A method: where and how often it asks, what answers, what moves.

    Attributes:
        asks: gradients of each player that the rule asks for in an update.
        averages: none, or the uniform average, with the probability of a restart from it at a snapshot.
    """

    rule: Spec[Rule]
    asks: int
    oracle: OracleName = "plain"
    base: str = "adam"
    averages: Mapping[str, Spec[Average]] = field(default_factory=dict)

    @property
    def alternates(self) -> bool:
        return GRADIENT in (self.rule, self.rule.settings.get("inner"))

    def cost(self, parts: int) -> float:
        """Mini-batch gradients of each player in an update, of a sum of so many mini-batches.

        SVRG evaluates twice per question, once where it has stored the other one; at a refresh, one in ``parts``
        updates, the whole sum is evaluated.
        """
        return {
            "plain": self.asks,
            "reduced": 2 * self.asks + 1,
            "stored": self.asks + 1,
            "full": self.asks * parts,
        }[self.oracle]


def _uniform(restart: float) -> dict[str, Spec[Average]]:
    return {AVERAGED: Spec(UniformAverage, restart=restart)}


ARMS = {
    # the factorial {gradient, extragradient} x {plain, variance reduction} x {SGD, Adam}; nothing restarts in it
    "SG": Arm(rule=GRADIENT, asks=1, base="sgd"),
    "SG-A": Arm(rule=GRADIENT, asks=1),
    "SG-VR": Arm(rule=GRADIENT, asks=1, oracle="reduced", base="sgd"),
    "SG-VR-A": Arm(rule=GRADIENT, asks=1, oracle="reduced"),
    "SE": Arm(rule=EXTRA, asks=2, base="sgd"),
    "SE-A": Arm(rule=EXTRA, asks=2),
    "AVG-SVRE": Arm(rule=EXTRA, asks=2, oracle="reduced", base="sgd", averages=_uniform(0.0)),
    "SVRE-A": Arm(rule=EXTRA, asks=2, oracle="reduced"),
    # the paper's other methods, restarted as there
    "SVRE": Arm(rule=EXTRA, asks=2, oracle="reduced", base="sgd", averages=_uniform(0.1)),
    "SVRE-VRAd": Arm(rule=EXTRA, asks=2, oracle="reduced", base="vrad", averages=_uniform(0.1)),
    "BatchE-A": Arm(rule=EXTRA, asks=2, oracle="full"),
    # what the paper did not have
    "lookahead-A": Arm(rule=Spec(Lookahead, inner=GRADIENT), asks=1),
    "optimistic-A": Arm(rule=Spec(Optimistic, of="update"), asks=1),
    "anchored-A": Arm(rule=Spec(Anchored), asks=2),
    "two-step-A": Arm(rule=Spec(Extragradient, at="opponent", extrapolation=2.0), asks=2),
    "stored-SVRE-A": Arm(rule=EXTRA, asks=2, oracle="stored"),
}
JOINTLY = {f"{name}, joint": replace(ARMS[name], rule=JOINT) for name in ("SE", "SE-A", "AVG-SVRE", "SVRE-A", "SVRE")}
"""Arms of extragradient in the joint form."""
EVERY = ARMS | JOINTLY
FACTORIAL = {
    (extra, reduced, adam): f"S{'E' if extra else 'G'}{'-VR' if reduced else ''}{'-A' if adam else ''}"
    for extra in (0, 1)
    for reduced in (0, 1)
    for adam in (0, 1)
} | {(1, 1, 0): "AVG-SVRE", (1, 1, 1): "SVRE-A"}
"""Levels of extragradient, variance reduction and Adam -> the arm; AVG-SVRE at its last iterate is SVRE unrestarted."""


def _se_a() -> Recipe:
    """Read at its last iterate."""
    return replace(mnist.se_a(), averages={})


PUBLISHED = {"SVRE": mnist.svre, "SE-A": _se_a}
"""The arms that are also played exactly as the paper has them."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What all arms of a scale share.

    Attributes:
        data: the data set; its ``images`` are the finite sum.
        side, images: of an image, and how many there are.
        latent: length of a latent vector.
        generator, critic: filters, as ``DcganGenerator.width`` and ``DcganCritic.width``.
        net: the feature net that scores read.
        samples: generated images per score.
        memory: ``Execution.memory``; ``channels_last`` saves an eighth of these networks' time at 28 x 28 on a CPU.
    """

    data: Spec[DataSet]
    side: Literal[8, 14, 28]
    images: int
    latent: int
    generator: int
    critic: int
    net: str
    samples: int
    memory: Literal["auto", "channels_last"] = "auto"

    def ready(self) -> None:
        """Before the first cell: the data, and the net."""
        require_net(self.data.build(), self.net)

    def recipe(self, arm: Arm, *, batch: int, steps: int, every: int, seed: int) -> Recipe:
        """An arm on the one finite game that all arms of a seed play: image i is paired with latent i throughout.

        Weights, images and latents follow the seed; scores are read from latents that training never sees.
        """
        networks = {
            "game.generator.size": self.side,
            "game.generator.latent": self.latent,
            "game.generator.width": self.generator,
            "game.critic.size": self.side,
            "game.critic.width": self.critic,
            "execution.memory": self.memory,
        }
        chosen = replace(
            mnist.se_a().with_(networks),
            data=self.data,
            source=Spec(PairedSource, latent=self.latent, redraw="never", pixels="unit"),
            oracle=ORACLES[arm.oracle].with_("batch", batch),
            rule=arm.rule,
            optimizers=dict.fromkeys(PLAYERS, OPTIMIZERS[arm.base]),
            averages=arm.averages,
        )
        return self.measured(chosen, steps=steps, every=every, seed=seed, draws=2 if arm.oracle == "full" else 8)

    def measured(self, recipe: Recipe, *, steps: int, every: int, seed: int, draws: int = 8) -> Recipe:
        """A recipe for so many steps, with scores and noise at the same marks."""
        return replace(
            recipe,
            steps=steps,
            seed=seed,
            log_every=every,
            noise_every=every,
            noise_draws=draws,
            samples_every=steps,
            checkpoint_every=max(1, min(500, every)),
            evaluate_every=every,
            evaluate_samples=self.samples,
            net=self.net,
        )

    def seconds(self, arm: Arm, *, batch: int, steps: int, every: int) -> float:
        """Declared for a run on one core: the work grows with the batch and with the square of the width."""
        fixed, each, width = SECONDS_PER_GRADIENT[self.side]
        gradient = fixed + each * batch * (self.generator / width) ** 2
        turns = 1.35 if arm.alternates else 1.0  # the generator's turn passes through the critic once more
        marks = steps / every * (1 + len(arm.averages))
        score = SECONDS_PER_SCORE * self.samples / 2000 * (self.side / 28) ** 2
        return SECONDS_PER_RUN + marks * score + steps * arm.cost(self.images // batch) * gradient * turns


TINY = Setup(
    data=Spec(Digits, limit=64), side=8, images=64, latent=8, generator=4, critic=4, net="digits-cnn", samples=40
)
"""Runs that take a second and learn nothing."""


def on_mnist(*, images: int, generator: int, critic: int, net: str, samples: int) -> Setup:
    """The paper's networks, or narrower ones, on the first so many training images."""
    return Setup(
        data=Spec(Mnist, limit=images),
        side=28,
        images=images,
        latent=128,
        generator=generator,
        critic=critic,
        net=net,
        samples=samples,
        memory="channels_last",
    )


def on_mnist_14(*, generator: int, critic: int, samples: int) -> Setup:
    """All of MNIST at 14 x 14."""
    return replace(
        on_mnist(images=60_000, generator=generator, critic=critic, net="mnist-14-cnn", samples=samples),
        data=Spec(Mnist14),
        side=14,
    )


def steps_for(arm: Arm, *, parts: int, least: int, cost: float) -> int:
    """Updates until both a number of updates and a cost are reached."""
    return max(least, math.ceil(cost / arm.cost(parts)))


def cell(recipe: Recipe, labels: Mapping[str, Any], *, batch: int, cost: float, seconds: float) -> Cell:
    """One run; ``cost`` counts mini-batch gradients of each player, over all updates, and ``batch`` is its unit."""
    return Cell(
        f"{__name__}:play",
        {"recipe": recipe.to_plain(), "batch": batch},
        labels={**labels, "seed": recipe.seed, "net": recipe.net},
        evaluations=float(len(PLAYERS) * batch * cost),
        seconds=seconds,
    )


NOISE_PARTS = ("second_moment", "variance", "squared_mean", "ratio", "age")
"""What the tables hold of the noise."""


@versioned(1)
def play(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """Train, going on from a checkpoint where there is one; on the GPU where torch sees one.

    A row per mark: ``step``, ``cost`` (mini-batch gradients of each player, of ``batch`` samples), ``seconds``, scores
    of the last iterate by name, of the average as ``average <name>``, and ``<player> <part of its noise>``.
    """
    recipe = placed(Recipe.from_plain(settings["recipe"]))
    columns = train({"recipe": recipe.to_plain()}, directory)
    read = [name for name in columns if name.startswith("score/") or name.rpartition("/")[2] in NOISE_PARTS]
    found = {_short(name): columns[name] for name in read}
    gradients = settings["batch"] * len(PLAYERS)
    nothing = [float("nan")] * len(columns["step"])
    cost = [evaluations / gradients for evaluations in columns.get("evaluations", nothing)]
    seconds = columns.get("seconds", nothing)
    return {"step": columns["step"], "cost": cost, "seconds": seconds, **found, "state": columns["state"]}


def _short(name: str) -> str:
    """A score's name without the net's, which is a label; noise without its folder."""
    kind, whose, what = name.split("/", 2)
    if kind == "noise":
        return f"{whose} {what.replace('_', ' ')}"
    return ("average " if whose == AVERAGED else "") + what.partition(" (")[0]
