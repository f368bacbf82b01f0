"""Finite-sum quadratic games, whose every trajectory has a closed form."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.games.analytic.base import AnalyticGame
from manypaths.games.analytic.constants import Constants, linear_constants
from manypaths.games.analytic.monotone import Family, monotone_sum


class Quadratic(AnalyticGame):
    """Two players x, y and the field F_i(w) = M_i w + b_i with w = (x, y), F = 1/n sum_i F_i.

    Player x minimises 1/2 x'(M_xx)x + x'(M_xy)y + x'b_x, player y likewise; the diagonal blocks of every M_i must be
    symmetric (else no loss has that gradient).

    Args:
        matrices: (n, 2d, 2d), or (2d, 2d) for a single component function.
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
        start = matrices.new_ones(size) if start is None else start
        super().__init__({"x": start[:d], "y": start[d:]})
        offsets = matrices.new_zeros(n, size) if offsets is None else offsets
        self.matrices, self.offsets, self.d, self.size = matrices, offsets.expand(n, size), d, n
        self._matrix, self._offset = matrices.mean(0), self.offsets.mean(0)

    @classmethod
    def monotone(
        cls,
        n: fields.PositiveInt,
        d: fields.PositiveInt,
        *,
        family: Family = "mixed",
        mu: fields.Positive = 1.0,
        L: fields.Positive = 100.0,
        cocoercivity: fields.Positive | None = None,
        noise: fields.NonNegative = 1.0,
        seed: int = 0,
    ) -> Quadratic:
        """A finite sum with chosen constants, which ``constants()`` confirms; see ``monotone_sum``.

        ``start`` is at distance 1 from the solution.
        """
        return cls(*monotone_sum(n, d, family, mu, L, cocoercivity, noise, seed))

    def field(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        if index is None:
            return linear(w, self._matrix, self._offset)
        products = self.matrices[index] @ w[..., None, :, None]
        return (products[..., 0] + self.offsets[index]).mean(-2)

    def difference(self, w: Tensor, v: Tensor, index: Tensor) -> Tensor:
        return (self.matrices[index] @ (w - v)[..., None, :, None])[..., 0].mean(-2)

    def values(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        d, matrix = self.d, self.jacobian(w, index)
        offset = self._offset if index is None else self.offsets[index].mean(-2)
        parts, pull = w.unflatten(-1, (2, d)), (matrix @ w[..., None])[..., 0] + offset
        own = torch.stack([matrix[..., :d, :d], matrix[..., d:, d:]], -3) @ parts[..., None]
        return (parts * (pull.unflatten(-1, (2, d)) - 0.5 * own[..., 0])).sum(-1)

    def jacobian(self, w: Tensor | None = None, index: Tensor | None = None) -> Tensor:
        """M_B, the same at every w."""
        matrix = self._matrix if index is None else self.matrices[index].mean(-3)
        return matrix if w is None else matrix.expand(*w.shape[:-1], *matrix.shape[-2:])

    def solution(self) -> Tensor:
        """The equilibrium w* with F(w*) = 0 (the minimum-norm one where M is singular)."""
        return torch.linalg.lstsq(self._matrix, -self._offset[:, None], driver="gelsd").solution[:, 0]

    def constants(self) -> Constants:
        return linear_constants(self.matrices, self._matrix)
