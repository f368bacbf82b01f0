"""The Jacobian of a game's field as an operator, for those who measure it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from manypaths.games.analytic.base import AnalyticGame
from manypaths.games.base import Game
from manypaths.oracles.jacobian import jacobian_products
from manypaths.vectors import Gradients


class FieldJacobian:
    """J = dF/dw of all players at the current iterate on one sample, (D, D), with D the number of all weights.

    Vectors are flat and in the order of ``game.point()``. Where a loss does not depend on a weight, J is zero. Weights
    and buffers stay as they are, and no oracle counts it.

    Attributes:
        matrix: J itself where the game has it in closed form, else ``None``.
    """

    def __init__(self, game: Game, sample: Any):
        self.game, self.sample = game, sample
        self.weights = [p for name in game.players for p in game.parameters(name)]
        self.size = sum(p.numel() for p in self.weights)
        self.matrix = game.jacobian(game.joint(), sample.index) if isinstance(game, AnalyticGame) else None

    def transposed(self, v: Tensor) -> Tensor:
        """J'v, one backward pass through the field."""
        return v @ self.matrix if self.matrix is not None else self._products(v, forward=False)[0]

    def both(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """J'v and Jv."""
        return (v @ self.matrix, self.matrix @ v) if self.matrix is not None else self._products(v, forward=True)

    def dense(self) -> Tensor:
        """J from D products."""
        if self.matrix is not None:
            return self.matrix
        eye = torch.eye(self.size, dtype=self.weights[0].dtype, device=self.weights[0].device)
        return torch.stack([self.transposed(unit) for unit in eye])

    def _products(self, v: Tensor, *, forward: bool) -> tuple[Tensor, Tensor]:
        parts = iter(v.to(self.weights[0]).split([p.numel() for p in self.weights]))
        by_player: dict[str, list[Tensor | None]] = {
            name: [next(parts).view_as(p) for p in self.game.parameters(name)] for name in self.game.players
        }
        found = jacobian_products(self.game, self.sample, Gradients(by_player, {}), forward=forward)
        return self._flat(found.transposed), self._flat(found.forward) if forward else v

    def _flat(self, vector: dict[str, list[Tensor | None]]) -> Tensor:
        tensors = [t for name in self.game.players for t in vector[name]]
        pairs = zip(tensors, self.weights, strict=True)
        return torch.cat([(torch.zeros_like(p) if t is None else t).reshape(-1) for t, p in pairs])
