"""GANs on Gaussian data x = A z in stacks: over settings, with the penalty switched on and off, and their Jacobians.

Generator and critic are MLPs. The generator's latent has the data's own dimension k, and its layers (ReLU) are at least
2k wide, so it can represent the data exactly: relu(z) - relu(-z) = z.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manypaths.experiments.cells import versioned
from manypaths.games.adversarial import Adversarial
from manypaths.metrics.jacobian import FieldJacobian
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.base import Objective
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.objectives.wasserstein import Wasserstein
from manypaths.optim.base import Optimizers
from manypaths.oracles.stochastic import Stochastic
from manypaths.penalties.base import InputGradientPenalty
from manypaths.penalties.dragan import Dragan
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.randomness import seed_for
from manypaths.rules.alternating import Alternating
from manypaths.sources.gan_sample import GanSample
from manypaths.studies.low_dimensional_manifold.data import Course, Manifold
from manypaths.studies.many_paths import BETA2
from manypaths.training import Training

GAMES: dict[str, tuple[Objective, InputGradientPenalty | None]] = {
    "ns-gan": (NonSaturating(), None),
    "gan-gp": (NonSaturating(), GradientPenalty()),
    "dragan-ns": (NonSaturating(), Dragan(std=1.0)),  # the data's own deviation: their total variance is d
    "wgan-gp": (Wasserstein(), GradientPenalty()),
}
ARMS = ("off-off", "off-on", "on-off", "on-on")
"""The penalty before and after the switch."""
JACOBIAN_BATCH = 256
WEIGHT = "penalties.0.weight"


@dataclass(frozen=True)
class Member:
    """What differs between the runs of a stack; runs of the same seed have the same data, weights and samples."""

    seed: int
    rate: float
    penalised: bool = True


@versioned(1)
def robustness(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """One game at all learning rates and seeds: distances along the way, and covariance spectra at the end.

    Columns ``model_j`` and ``data_j`` are shares of the data's total variance: j = 1 .. k the k largest eigenvalues,
    j = k + 1 the sum of the others; NaN before the last mark.
    """
    members = [Member(seed, rate) for rate, seed in product(settings["rates"], range(settings["seeds"]))]
    training, course = _begin(settings, members)
    _play(training, course, settings)
    before = [math.nan] * (len(course.steps) - 1) * len(members)
    ends: dict[str, list[float]] = {}
    for i, manifold in enumerate(course.manifolds):
        samples = course.samples(i)
        finite = bool(samples.isfinite().all())
        model = manifold.spectrum(samples).tolist() if finite else [math.nan] * (settings["k"] + 1)
        for j, (mine, data) in enumerate(zip(model, manifold.own_spectrum().tolist(), strict=True), 1):
            ends.setdefault(f"model_{j}", []).append(mine)
            ends.setdefault(f"data_{j}", []).append(data)
    place = f"d={settings['d']} critic_steps={settings['critic_steps']} beta1={settings['beta1']:g}"
    marks = len(course.steps)
    return {
        "setting": [f"{place} lr={member.rate:g}" for member in members] * marks,
        "rate": [member.rate for member in members] * marks,
        "seed": [member.seed for member in members] * marks,
        **course.columns(),
        **{name: before + values for name, values in ends.items()},
    }


@versioned(1)
def switched(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """The penalty on or off before the step ``switch``, on or off after it: four arms with the same samples.

    Arms that agree before the switch go on from one checkpoint, weights and optimisers alike, so at the switch their
    distances are equal.
    """
    runs: list[tuple[str, float, int]] = [*product(ARMS, settings["rates"], range(settings["seeds"]))]
    members = [Member(seed, rate, arm.startswith("on")) for arm, rate, seed in runs]
    training, course = _begin(settings, members)
    each = len(runs) // len(ARMS)

    def switch() -> None:
        for source, target in ((0, 1), (3, 2)):
            _copy_members(training, range(source * each, (source + 1) * each), target * each)
        assert isinstance(training.game, Population)
        training.game.vary[WEIGHT].copy_(_weights(settings, [arm.endswith("on") for arm, _, _ in runs]))

    _play(training, course, settings, at=settings["switch"], then=switch)
    marks = len(course.steps)
    return {
        "arm": [arm for arm, _, _ in runs] * marks,
        "rate": [rate for _, rate, _ in runs] * marks,
        "seed": [seed for _, _, seed in runs] * marks,
        **course.columns(),
    }


@versioned(1)
def spectra(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """All eigenvalues of the game's Jacobian without and with the penalty, at the points that both come to.

    One row per eigenvalue: ``visited`` says whether the point was reached with the penalty, ``jacobian`` whether the
    penalty is in the field whose Jacobian it is. In float64, on one sample of the data per seed.
    """
    runs = list(product(("off", "on"), range(settings["seeds"])))
    training, course = _begin(settings, [Member(seed, settings["rate"], arm == "on") for arm, seed in runs])
    for _ in range(settings["steps"]):
        training.step()
    rows: list[tuple[str, int, str, Any]] = []
    for i, (visited, seed) in enumerate(runs):
        drawn: Any = course.manifolds[i].source().sample(JACOBIAN_BATCH)
        sample = _in_double(drawn)
        for jacobian in ("off", "on"):
            game = _alone(settings, training.game, i, penalised=jacobian == "on")
            rows.append((visited, seed, jacobian, torch.linalg.eigvals(FieldJacobian(game, sample).dense()).numpy()))
    repeated = {name: np.repeat(np.array([row[j] for row in rows]), len(rows[0][3])) for j, name in enumerate(_POINT)}
    values: Any = np.concatenate([row[3] for row in rows])
    return {**repeated, "real": values.real, "imaginary": values.imag}


_POINT = ("visited", "seed", "jacobian")


# ---- how ---------------------------------------------------------------------------------------------------------


def gan(settings: Mapping[str, Any], seed: int) -> Adversarial:
    """The game of some settings, with the weights of a seed."""
    hidden, k, d = tuple(settings["hidden"]), settings["k"], settings["d"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "weights"))
        generator, critic = MlpGenerator(latent=k, shape=(d,), hidden=hidden), MlpCritic(shape=(d,), hidden=hidden)
    objective, penalty = GAMES[settings["game"]]
    return Adversarial(generator, critic, objective=objective, penalties=[penalty] if penalty else [])


def _begin(settings: Mapping[str, Any], members: Sequence[Member]) -> tuple[Training, Course]:
    """The members as one stack, alternating, with Adam."""
    seeds = [member.seed for member in members]
    manifolds = {seed: Manifold(settings["d"], settings["k"], seed) for seed in seeds}
    switches = [member.penalised for member in members]
    vary = None if all(switches) and "switch" not in settings else {WEIGHT: _weights(settings, switches)}
    population = Population([gan(settings, seed) for seed in seeds], seeds=seeds, vary=vary)
    source = PopulationSource([manifolds[seed].source() for seed in seeds])
    top, betas = max(member.rate for member in members), (settings["beta1"], BETA2)
    adam = {
        name: torch.optim.Adam(population.parameters(name), lr=top, betas=betas, fused=True)
        for name in population.players
    }
    rates = torch.tensor([member.rate / top for member in members])
    order = ("critic",) * settings["critic_steps"] + ("generator",)
    training = Training(
        population,
        Stochastic(source, batch=settings["batch"]),
        Alternating(order),
        Optimizers(adam, rates=dict.fromkeys(adam, rates)),
    )
    return training, Course(population, [manifolds[seed] for seed in seeds])


def _weights(settings: Mapping[str, Any], switches: Sequence[bool]) -> Tensor:
    """The penalty's weight in each member: its own, or 0."""
    penalty = GAMES[settings["game"]][1]
    assert penalty is not None
    return penalty.weight * torch.tensor(switches, dtype=torch.get_default_dtype())


def _play(
    training: Training, course: Course, settings: Mapping[str, Any], *, at: int | None = None, then: Any = None
) -> None:
    """All steps, with a mark at the start and every ``every`` steps; ``then()`` before the mark of step ``at``."""
    for step in range(settings["steps"] + 1):
        if step:
            training.step()
        if step == at:
            then()
        if step % settings["every"] == 0:
            course.mark(step)


@torch.no_grad()
def _copy_members(training: Training, source: range, target: int) -> None:
    """Weights and optimiser states of some members over those from ``target`` on."""
    here, there = slice(source.start, source.stop), slice(target, target + len(source))
    for name, optimizer in training.optimizers.items():
        for parameter in training.game.parameters(name):
            moments = [t for t in optimizer.state[parameter].values() if t.shape == parameter.shape]
            for tensor in (parameter, *moments):
                tensor[there] = tensor[here]


def _alone(settings: Mapping[str, Any], population: Any, i: int, *, penalised: bool) -> Adversarial:
    """Member i in float64, with or without its penalty."""
    game = gan(settings, 0)
    with population.member(i) as member:
        game.load_state_dict(member.state_dict())
    for module in game.players.values():
        module.double()
    game.penalties = game.penalties if penalised else ()
    return game


def _in_double(sample: GanSample) -> GanSample:
    return GanSample(sample.real.double(), sample.latent.double(), sample.seed)
