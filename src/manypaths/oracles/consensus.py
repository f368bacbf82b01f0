"""Consensus optimisation (Mescheder, Nowozin and Geiger 2017)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from manypaths import fields
from manypaths.games.base import Game
from manypaths.oracles.base import Oracle
from manypaths.oracles.second_order import SecondOrder
from manypaths.vectors import Gradients, add_


@dataclass(eq=False)
class Consensus(SecondOrder):
    """F(w) + gamma J(w)'F(w): every player also descends gamma/2 ||F||^2, where all gradients vanish.

    Asked for some players, it returns their entries of the full adjusted field. Per sample of a batch and player, a
    pair (A, B) costs one evaluation at A and two at B (the field, and the backward pass through it); ``FullBatch``
    costs three passes.

    Args:
        oracle: ``Stochastic`` or ``FullBatch``; others are refused.
        weight: gamma.
        independent: J and F of the product from two independent batches, which is unbiased. ``False`` uses one batch B
            for both, at two thirds of a pair's cost: that is the gradient of gamma/2 E||F_B||^2, so its mean is off by
            gamma/2 grad tr Cov(F_B).
    """

    oracle: Oracle
    weight: fields.Positive = 1.0
    independent: bool = True

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        _, found = self.products(game, sample, forward=False, moves_buffers=moves_buffers)
        for name in game.players:
            add_(found.field[name], found.transposed[name], self.weight)
        return found.field.only(game.names(players))
