"""Extragradient with steps for (L0, L1)-smooth fields (arXiv 2510.22421)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.base import Game
from manypaths.games.capabilities import Stacked
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Rule, StepInfo
from manypaths.rules.moves import stretch
from manypaths.vectors import squared_norm


@dataclass(frozen=True)
class NormalisedExtragradient(Rule):
    """w_{t+1/2} = w_t - g_t F(w_t),  w_{t+1} = w_t - g_t F(w_{t+1/2}),  g_t = eta / (c0 + c1 ||F(w_t)||^a).

    For (L0, L1)-smooth fields, whose Lipschitz constant grows with the field: short steps where it is large. eta is the
    base's rate, and the factor shortens whatever step the base makes. The norm is that of the players that move, all
    of them together; in turns each player's own.

    Attributes:
        c0, c1: of the constant and of the growing part.
        power: a.
        fresh_sample: draw a new sample for the second half-step.
    """

    c0: fields.NonNegative = 1.0
    c1: fields.NonNegative = 1.0
    power: fields.Positive = 1.0
    fresh_sample: bool = True

    def __post_init__(self) -> None:
        fields.check(self)
        if self.c0 == self.c1 == 0:
            raise InvalidValue("NormalisedExtragradient.c0 and c1 are 0: expected one of them > 0")

    def check(self, game: Game, oracle: Oracle, optimizers: Optimizers) -> None:
        super().check(game, oracle, optimizers)
        if isinstance(game, Stacked):
            raise InvalidType("NormalisedExtragradient reads the norm of one game's field: expected no Population")

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names, sample = game.names(players), oracle.draw()
        gradients = oracle(game, sample, names, moves_buffers=True)
        losses = gradients.losses
        norm = sum(squared_norm(gradients[name]) for name in names) ** 0.5
        divisor = self.c0 + self.c1 * norm**self.power
        factor = 1.0 / divisor if divisor > 0 else 0.0  # no constant part, and no field
        with game.swapped_aside(names) as start:
            optimizers.apply(game, gradients)
            stretch(game, start, factor)
            gradients = oracle(game, oracle.draw() if self.fresh_sample else sample, names)
        start = game.point(names)
        optimizers.apply(game, gradients)
        stretch(game, start, factor)
        return StepInfo(losses)
