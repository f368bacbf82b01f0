"""Symplectic gradient adjustment (Balduzzi et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from manypaths import fields
from manypaths.games.base import Game
from manypaths.oracles.base import Oracle
from manypaths.oracles.second_order import SecondOrder
from manypaths.vectors import Gradients, Vector, add_, dot, present, scale_

EPSILON = 0.1
"""Prefers lambda > 0 where the products that decide its sign are small; the value of public implementations."""


@dataclass(eq=False)
class Symplectic(SecondOrder):
    """F(w) + lambda A'F(w) with A = (J - J')/2: turns against the rotation of the field and leaves a potential alone.

    Asked for some players, it returns their entries of the full adjusted field. Per sample of a batch and player, a
    pair (A, B) costs one evaluation at A and three at B (the field, J'v and Jv); ``FullBatch`` costs four passes.

    Args:
        oracle: ``Stochastic`` or ``FullBatch``; others are refused.
        weight: |lambda|.
        align: choose the sign of lambda so that the adjustment points to stable fixed points and away from unstable
            ones: sign(<F, grad H> <A'F, grad H> / d + 0.1) with H = ||F||^2 / 2, grad H = J'F and d the number of
            weights; otherwise lambda > 0. A sign of estimates is biased on mini-batches.
        independent: F and J of the product from two independent batches, which is unbiased (without ``align``).
            ``False`` uses one batch B for both, at three quarters of a pair's cost: the mean of A_B'F_B is off by
            the covariance of A_B and F_B.
    """

    oracle: Oracle
    weight: fields.Positive = 1.0
    align: bool = False
    independent: bool = True

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        v, found = self.products(game, sample, forward=True, moves_buffers=moves_buffers)
        turn = {name: _half_difference(found.transposed[name], found.forward[name]) for name in game.players}
        sign = _alignment(v, turn, found.transposed) if self.align else 1.0
        for name in game.players:
            add_(found.field[name], turn[name], sign * self.weight)
        return found.field.only(game.names(players))


def _half_difference(transposed: list[Any], forward: list[Any]) -> list[Any]:
    """A'v = (J'v - Jv) / 2."""
    result = [None if t is None else t.clone() for t in transposed]
    add_(result, forward, -1.0)
    scale_(result, 0.5)
    return result


def _alignment(field: Vector, turn: Vector, slope: Vector) -> float:
    d = sum(t.numel() for name in field for t in present(field[name]))
    return 1.0 if dot(field, slope) * dot(turn, slope) / d + EPSILON >= 0 else -1.0
