"""Finite-sum quadratic games, whose every trajectory has a closed form."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.games.source import Index


class Coordinates(nn.Module):
    """A player that is a plain vector."""

    def __init__(self, start: Tensor):
        super().__init__()
        self.weight = nn.Parameter(start.detach().clone())


class Quadratic(Game):
    """Two players x, y and the field F_i(w) = M_i w + b_i with w = (x, y), F = 1/n sum_i F_i.

    Player x minimises 1/2 x'(M_xx)x + x'(M_xy)y + x'b_x, player y likewise; the diagonal blocks of every M_i must be
    symmetric (else no loss has that gradient).

    Args:
        matrices: (n, 2d, 2d), or (2d, 2d) for a single summand.
        offsets: (n, 2d) or (2d,); zero by default.
        start: the initial w, (2d,); ones by default.
    """

    def __init__(self, matrices: Tensor, offsets: Tensor | None = None, start: Tensor | None = None):
        matrices = matrices if matrices.ndim == 3 else matrices[None]
        n, size, columns = matrices.shape
        if size != columns or size % 2:
            raise InvalidValue(f"matrices have shape {tuple(matrices.shape)}: expected (n, 2d, 2d)")
        d = size // 2
        for block in (matrices[:, :d, :d], matrices[:, d:, d:]):
            if not torch.allclose(block, block.mT, rtol=1e-6, atol=1e-9):
                raise InvalidValue("a player's own block of a quadratic game must be symmetric")
        self.matrices, self.d = matrices, d
        offsets = matrices.new_zeros(n, size) if offsets is None else offsets
        self.offsets = offsets.expand(n, size)
        start = matrices.new_ones(size) if start is None else start
        self.players = {"x": Coordinates(start[:d]), "y": Coordinates(start[d:])}

    @property
    def size(self) -> int:
        """The number of summands n."""
        return len(self.matrices)

    def losses(self, sample: Index, players: tuple[str, ...]) -> dict[str, Tensor]:
        d = self.d
        x: Any = self.players["x"].weight
        y: Any = self.players["y"].weight
        m, b = self.matrices[sample.index].mean(0), self.offsets[sample.index].mean(0)
        losses = {
            "x": lambda: x @ (0.5 * m[:d, :d] @ x + m[:d, d:] @ y + b[:d]),
            "y": lambda: y @ (0.5 * m[d:, d:] @ y + m[d:, :d] @ x + b[d:]),
        }
        return {name: losses[name]() for name in players}

    def jacobian(self) -> Tensor:
        """The constant Jacobian of the full field, M = 1/n sum_i M_i."""
        return self.matrices.mean(0)

    def field(self, w: Tensor) -> Tensor:
        """The full field at w, in closed form."""
        return self.jacobian() @ w + self.offsets.mean(0)

    def solution(self) -> Tensor:
        """The equilibrium w* with F(w*) = 0 (the minimum-norm one where M is singular)."""
        return torch.linalg.lstsq(self.jacobian(), -self.offsets.mean(0)[:, None], driver="gelsd").solution[:, 0]

    def joint(self) -> Tensor:
        """The joint iterate as one vector (x, y)."""
        return torch.cat([p.detach() for name in self.players for p in self.parameters(name)])
