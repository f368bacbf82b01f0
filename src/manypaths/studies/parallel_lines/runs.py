"""Games between two parallel segments (see ``segments``): what their critics say, and where they go."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from manypaths.experiments.cells import versioned
from manypaths.games.adversarial import Adversarial
from manypaths.metrics.divergence_trace import DivergenceTrace
from manypaths.metrics.duality_gap import duality_gap
from manypaths.metrics.field_norm import member_field_norms
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.base import Objective
from manypaths.objectives.minimax import Minimax
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.objectives.wasserstein import Wasserstein
from manypaths.optim.base import Optimizers
from manypaths.oracles.stochastic import Stochastic
from manypaths.penalties.base import Penalty
from manypaths.penalties.dragan import Dragan
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.penalties.weight_clipping import WeightClipping
from manypaths.populations.population import Population
from manypaths.populations.source import MemberSamples
from manypaths.randomness import generator_for
from manypaths.rules.alternating import Alternating
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import FunctionSource
from manypaths.sources.gan_sample import GanSample
from manypaths.studies.parallel_lines import segments
from manypaths.training import Training

HIDDEN, BATCH = (32, 32), 64
"""Of the critic, and samples per draw."""
LEARNING_RATE, BETAS = 2e-3, (0.5, 0.9)
"""Adam's, of both players."""
PLAIN_RATE = 0.02
"""Of plain gradient steps, which keep the size of a gradient, as Adam's do not."""
CLIP = 0.1
EVALUATED, GAP_STEPS, GAP_RADIUS = 256, 20, 0.1
"""Samples behind field norms, gaps and sampled distances; steps and radius of the local duality gap."""
TOLERANCE, ALPHA, NULLS = 1e-3, 0.05, 9
"""What an exact divergence must rise by, relative to max(1, D), and the rate of false rises of a sampled one."""
EXACT = ("w2", "kl", "reverse-kl", "jsd")
SAMPLED = "frechet"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A game, and how it is played.

    Attributes:
        objective: of both players.
        penalty: on the critic, from the dimension of the data.
        critic_steps: per generator step.
        warms_up: whether the critic takes steps alone before the first (the cell's ``warm_up``).
        base: of the generator; the critic's is Adam.
        clip: whether the critic's weights are.
        gaps: whether local duality gaps are read.
    """

    objective: Objective
    penalty: Callable[[int], Penalty] | None = None
    critic_steps: int = 1
    warms_up: bool = False
    base: Literal["adam", "plain"] = "adam"
    clip: bool = False
    gaps: bool = False


def _dragan(d: int) -> Dragan:
    """Around the data, whose entries have variance 1 / (3 d)."""
    return Dragan(noise="gaussian", std=(3 * d) ** -0.5)


TRAINED: dict[str, Any] = {"critic_steps": 5, "warms_up": True}
ARMS = {
    "NS-GAN": Arm(objective=NonSaturating(), gaps=True),
    "GAN-GP": Arm(objective=NonSaturating(), penalty=lambda d: GradientPenalty(), gaps=True),
    "DRAGAN-NS": Arm(objective=NonSaturating(), penalty=_dragan, gaps=True),
    "WGAN": Arm(objective=Wasserstein(), critic_steps=5, clip=True),
    "M-GAN": Arm(objective=Minimax()),
    "M-GAN, trained critic": Arm(objective=Minimax(), **TRAINED),
    "M-GAN, trained critic, plain steps": Arm(objective=Minimax(), base="plain", **TRAINED),
    "NS-GAN, trained critic, plain steps": Arm(objective=NonSaturating(), base="plain", **TRAINED),
}


def arm_settings(name: str) -> dict[str, Any]:
    """What decides an arm's results beside its name, as plain data: with another of these rates it is another cell."""
    rates = {"learning_rate": LEARNING_RATE, "plain_rate": PLAIN_RATE, "clip": CLIP, "batch": BATCH}
    return {"arm": name, "critic_steps": ARMS[name].critic_steps, "hidden": list(HIDDEN), **rates}


def population(arm: Arm, seeds: int, d: int, displacement: float, *, noise: float = 0.0) -> Population:
    """One member per seed: critics of their own, generators z a + b (+ noise) at the parallel displaced segment."""
    a, b = segments.start(1, d, displacement)
    weight = a[0, :, None] if noise == 0 else torch.cat([a[0, :, None], noise * torch.eye(d)], 1)

    def make(seed: int) -> Adversarial:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            critic = MlpCritic(shape=(d,), hidden=HIDDEN)
        generator = MlpGenerator(latent=weight.shape[1], shape=(d,), hidden=())
        with torch.no_grad():
            for parameter, value in zip(generator.parameters(), (weight, b[0]), strict=True):
                parameter.copy_(value)
        penalties = [] if arm.penalty is None else [arm.penalty(d)]
        projection = WeightClipping(CLIP) if arm.clip else None
        return Adversarial(generator, critic, objective=arm.objective, penalties=penalties, projection=projection)

    games = [make(seed) for seed in range(seeds)]
    return Population(games)


def draw(n: int, generator: torch.Generator, *, members: int, d: int, noise: float = 0.0) -> MemberSamples:
    """n data of the segment and n latents for every member; with noise N(0, noise^2 I) on both."""
    real = torch.zeros(members, n, d)
    real[..., 1] = 2 * torch.rand(members, n, generator=generator) - 1
    latent = 2 * torch.rand(members, n, 1, generator=generator) - 1
    seed = torch.randint(1 << 62, (members, n), generator=generator)
    if noise:
        real = real + noise * torch.randn(real.shape, generator=generator)
        latent = torch.cat([latent, torch.randn(real.shape, generator=generator)], -1)
    return MemberSamples(GanSample, {"real": real, "latent": latent, "seed": seed})


def training(arm: Arm, game: Population, d: int, *, warm_up: int = 0, noise: float = 0.0) -> Training:
    """The arm's training, after ``warm_up`` steps of the critic alone."""
    source = FunctionSource(partial(draw, members=len(game), d=d, noise=noise), seed=0)
    made = {name: torch.optim.Adam(game.parameters(name), lr=LEARNING_RATE, betas=BETAS) for name in game.players}
    optimizers: dict[str, torch.optim.Optimizer] = {**made}
    if arm.base == "plain":
        optimizers["generator"] = torch.optim.SGD(game.parameters("generator"), lr=PLAIN_RATE)
    order = ("critic",) * arm.critic_steps + ("generator",)
    found = Training(game, Stochastic(source, batch=BATCH), Alternating(order), Optimizers(optimizers))
    for _ in range(warm_up):
        Simultaneous().step(game, found.oracle, found.optimizers, ("critic",))
    return found


def model(game: Population) -> tuple[Tensor, Tensor]:
    """a and b of every member, (m, d) in float64."""
    weight, bias = (p.detach().double() for p in game.parameters("generator"))
    return weight[..., 0].clone(), bias.clone()


@versioned(1)
def play(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """Train a population; a row per observation and seed, with every divergence and whether it rose."""
    arm, d, seeds = ARMS[settings["arm"]], settings["dimension"], settings["seeds"]
    game = population(arm, seeds, d, settings["displacement"])
    run = training(arm, game, d, warm_up=settings["warm_up"] if arm.warms_up else 0)
    watch = Watch(game, arm, settings)
    for mark in range(settings["marks"] + 1):
        while run.steps < mark * settings["steps"] // settings["marks"]:
            run.step()
        watch.observe(run.steps, gap=arm.gaps and mark % settings["gap_every"] == 0)
    return watch.columns()


class Watch:
    """The trace of a population, and what stands beside it."""

    def __init__(self, game: Population, arm: Arm, settings: Mapping[str, Any]):
        self.game, self.d, self.s = game, settings["dimension"], settings["smoothing"]
        self.trace = DivergenceTrace((SAMPLED,), alpha=ALPHA, nulls=NULLS, tolerance=TOLERANCE)
        self._generator = generator_for(0, "observation")
        self._evaluation = self._fresh()
        self._rows: list[dict[str, Tensor]] = []

    def observe(self, step: int, *, gap: bool) -> None:
        a, b = model(self.game)
        smoothed = segments.smoothed(a, b, self.s)
        values = {"w2": segments.squared_wasserstein(a, b).clamp(min=0).sqrt(), **smoothed}
        values["field norm"] = member_field_norms(self.game, self._evaluation)
        sample = self._fresh().stacked
        points = sample["latent"].double() * a[:, None] + b[:, None]
        read = self.trace.observe(step, points, sample["real"], values=values)
        row = {name.replace(" ", "_"): reading.value for name, reading in read.items()}
        row |= {f"{name}_rose": reading.rose.double() for name, reading in read.items() if name != "field norm"}
        row["exact_jsd"] = segments.jensen_shannon(a, b)
        row["exact_slope"] = segments.largest_slope(a, b, generator=self._generator)
        row["gap"] = self._gaps() if gap else torch.full((len(a),), torch.nan)
        row |= {f"{name}{i}": v[:, i] for name, v in (("a", a), ("b", b)) for i in (0, 1)}
        members = torch.arange(len(a))
        self._rows.append({"seed": members, "step": torch.full_like(members, step), **row})

    def columns(self) -> dict[str, Any]:
        return {name: torch.cat([row[name] for row in self._rows]).numpy() for name in self._rows[0]}

    def _fresh(self) -> MemberSamples:
        return draw(EVALUATED, self._generator, members=len(self.game), d=self.d)

    def _gaps(self) -> Tensor:
        """The local duality gap of every member, one at a time."""
        found = []
        for i in range(len(self.game)):
            sample = GanSample(**{name: t[i] for name, t in self._evaluation.stacked.items()})
            with self.game.member(i) as alone:
                adam = partial(torch.optim.Adam, lr=GAP_RADIUS / GAP_STEPS)
                found.append(duality_gap(alone, sample, steps=GAP_STEPS, radius=GAP_RADIUS, optimiser=adam).gap)
        return torch.tensor(found, dtype=torch.float64)


@versioned(1)
def signal(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """Under noise N(0, s^2 I) on both segments: the size of dL/db of the displacement, by seed.

    The exact JSD's; and, against a critic trained on the still segments, NS-GAN's and M-GAN's.
    """
    s, d, seeds, displacement = (settings[name] for name in ("s", "dimension", "seeds", "displacement"))
    arm = Arm(objective=NonSaturating())
    game = population(arm, seeds, d, displacement, noise=s)
    training(arm, game, d, warm_up=settings["warm_up"], noise=s)
    shadow = population(Arm(objective=Minimax()), seeds, d, displacement, noise=s)
    shadow.move_to(game.point(["critic"]))
    sample = draw(EVALUATED, generator_for(0, "observation"), members=seeds, d=d, noise=s)
    found = {"seed": list(range(seeds)), "jsd": [segments.jsd_slope(displacement, s)] * seeds}
    for name, stack in (("ns", game), ("minimax", shadow)):
        gradients = stack.gradients(sample, ["generator"])["generator"]
        assert gradients[1] is not None
        found[name] = torch.linalg.vector_norm(gradients[1].double(), dim=1).tolist()
    return found


@versioned(1)
def descend(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """Gradient steps on the exact JSD of the smoothed segments in the plane, over a and b."""
    a, b = (v.requires_grad_() for v in segments.start(1, 2, settings["displacement"]))
    rows = []
    for step in range(settings["steps"] + 1):
        value = segments.smoothed(a, b, settings["s"], nodes=segments.FINE_NODES)["jsd"].sum()
        if step % settings["every"] == 0:
            w2 = math.sqrt(max(float(segments.squared_wasserstein(a, b).detach()), 0.0))
            rows.append((step, w2, float(value.detach()), *a.tolist()[0], *b.tolist()[0]))
        gradients = torch.autograd.grad(value, (a, b))
        with torch.no_grad():
            for parameter, gradient in zip((a, b), gradients, strict=True):
                parameter.sub_(settings["rate"] * gradient)
    names = ("step", "w2", "jsd", "a0", "a1", "b0", "b1")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
