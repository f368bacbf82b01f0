"""What an audit measures: SVRG's variance ratio, and the largest stable step of each rule."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from manypaths.errors import InputError
from manypaths.games.base import Game
from manypaths.metrics.gradient_noise import gradient_noise
from manypaths.optim.base import Optimizers
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.rules.alternating import Alternating
from manypaths.rules.base import Rule
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import FiniteSource, Source
from manypaths.sources.loader import LoaderSource
from manypaths.sources.sample import Sample
from manypaths.testing.untouched import untouched
from manypaths.training import Training
from manypaths.vectors import squared_norm

STEPS = tuple(10.0**k for k in (-4.0, -3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0))
NOISE_BATCH, NOISE_BATCHES, STEP_BATCH = 8, 16, 4
"""Small ones, for the answers are orders of magnitude."""


class _Part(FiniteSource):
    """The first component functions of a finite sum."""

    def __init__(self, source: Source, size: int):
        self.source, self.size, self.seed = source, size, 0

    def take(self, index: Tensor) -> Sample:
        return self.source.take(index)


def noise(game: Game, source: Source, batch: int) -> list[str]:
    """The variance ratio of SVRG a few small steps after a snapshot, where the source is a finite sum."""
    if source.size is None:
        return ["variance reduction: not measured, for the source is infinite"]
    batch = min(batch, NOISE_BATCH, source.size)
    part = _Part(source, min(source.size, batch * NOISE_BATCHES))
    try:
        oracle = SVRG(part, batch=batch, schedule="fixed", every=10**9)
        training = Training(game, oracle, Simultaneous(), _sgd(game, 1e-3))
    except InputError as error:
        return [f"variance reduction: not measured ({error})"]
    oracle.take_snapshot(game)
    lines = []
    for age in (1, 5, 20):
        while training.steps < age:
            training.step()
        ratios = {name: found.ratio for name, found in gradient_noise(game, oracle, draws=4).items()}
        shown = ", ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items() if ratio is not None)
        lines.append(
            f"variance ratio SVRG / mini-batch, {age} SGD steps of 1e-3 after the snapshot, batch {batch} of "
            f"{part.size:,} of {source.size:,} samples: {shown}"
        )
    return lines


def stable_steps(game: Game, source: Source, batch: int) -> list[str]:
    """For every rule the largest SGD step under which ten steps do not multiply the field's norm by ten."""
    if not isinstance(source, LoaderSource):
        batch = min(batch, STEP_BATCH)
    rules: dict[str, Callable[[], Rule]] = {
        "simultaneous": Simultaneous,
        "alternating": lambda: Alternating(tuple(game.players)),
        "extragradient": Extragradient,
        "extragradient at the opponent's extrapolated point": lambda: Extragradient(at="opponent"),
    }
    with source.rewound():
        sample = source.sample(batch)
    first, guess, lines = _field_norm(game, sample), len(STEPS) // 2, []
    for name, make in rules.items():

        def stable(lr: float, make: Callable[[], Rule] = make) -> bool:
            with untouched(game, source):
                training = Training(game, Stochastic(source, batch=batch), make(), _sgd(game, lr))
                going = all(training.non_finite(training.step()) is None for _ in range(10))
                return going and _field_norm(game, sample) < 10.0 * first

        guess = _largest(stable, guess)
        lines.append(f"largest stable SGD step of {name} over ten steps of batch {batch}: {_said(guess)}")
    return lines


def _largest(stable: Callable[[float], bool], guess: int) -> int:
    """The place in the grid, -1 below it: first the guess and its neighbour, then by bisection.

    A larger step than an unstable one is taken to be unstable.
    """
    low, high, middle = -1, len(STEPS), max(guess, 0)
    while high - low > 1:
        low, high = (middle, high) if stable(STEPS[middle]) else (low, middle)
        near = high - low > 2 and guess in (low, high)
        middle = (low + 1 if low == guess else high - 1) if near else (low + high) // 2
    return low


def _said(place: int) -> str:
    if place < 0:
        return "below 1e-4"
    return f"about {STEPS[place]:.2g}{' or more' if place == len(STEPS) - 1 else ''}"


def _field_norm(game: Game, sample: object) -> float:
    gradients = game.gradients(sample)
    return sum(squared_norm(gradients[name]) for name in gradients) ** 0.5


def _sgd(game: Game, lr: float) -> Optimizers:
    return Optimizers({name: torch.optim.SGD(game.parameters(name), lr=lr) for name in game.players})
