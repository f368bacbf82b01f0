"""What is audited: a game, and one batch of whatever kind."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch

from manypaths.errors import InputError
from manypaths.games.adversarial import Adversarial
from manypaths.games.base import Game
from manypaths.games.noise import tensors_in
from manypaths.oracles.base import Oracle
from manypaths.randomness import generator_for
from manypaths.sources.base import Source
from manypaths.sources.sample import mapped
from manypaths.vectors import Gradients, flat

FAILURES = (InputError, RuntimeError, IndexError)


class Subject:
    """A game, its source and one batch; fields that several checks look at are computed once."""

    def __init__(self, game: Game, sample: Any, source: Source | None = None, oracle: Oracle | None = None):
        self.game, self.sample, self.source, self.oracle = game, sample, source, oracle

    @cached_property
    def gradients(self) -> Gradients | None:
        """The field, or ``None`` where it cannot be evaluated at all."""
        return self.at(self.sample)

    @cached_property
    def pure(self) -> float:
        """How far a second evaluation of the same sample is from the first, relative; 0 where there is none."""
        first, second = self.gradients, self.at(self.sample)
        if first is None or second is None:
            return 0.0
        return float((flat(first) - flat(second)).norm() / flat(first).norm().clamp_min(1e-30))

    @cached_property
    def noisy(self) -> bool:
        return self.pure > 1e-4 or self.game.draws_noise(self.sample)

    @cached_property
    def nearby(self) -> Gradients | None:
        """The field at weights that differ by normal numbers of deviation 0.01."""
        draw = generator_for(0, "audit", "nearby")
        move = lambda w: w + 0.01 * torch.randn(w.shape, generator=draw).to(w)  # noqa: E731
        with self.game.at({name: [move(w) for w in weights] for name, weights in self.game.point().items()}):
            return self.at(self.sample)

    def at(self, sample: Any) -> Gradients | None:
        try:
            return self.game.gradients(sample)
        except FAILURES:
            return None

    @property
    def gan(self) -> Adversarial | None:
        game = self.game.unwrapped
        return game if isinstance(game, Adversarial) else None


def length(sample: Any) -> int:
    return next((len(tensor) for tensor in tensors_in(sample) if tensor.ndim), 0)


def rows(sample: Any, start: int, stop: int) -> Any:
    return mapped(sample, lambda t: t[start:stop])


def twice(sample: Any) -> Any:
    """Every row two times, seeds included: a mean does not notice, and a sum doubles."""
    return mapped(sample, lambda t: torch.cat([t, t]))
