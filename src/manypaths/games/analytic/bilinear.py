"""Bilinear games: pure rotation, the place where gradient descent fails."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from manypaths import fields
from manypaths.fields import check_arguments
from manypaths.games.analytic.constants import Constants
from manypaths.games.analytic.coordinatewise import Coordinatewise
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.randomness import generator_for


class Bilinear(Quadratic):
    """min_x max_y 1/n sum_i (x'A_i y + a_i'x + b_i'y).

    Args:
        matrices: A_i, (n, d, d) or (d, d).
        x_terms, y_terms: a_i and b_i, (n, d); zero by default.
        start: the initial (x, y), (2d,); ones by default.
    """

    def __init__(
        self,
        matrices: Tensor,
        *,
        x_terms: Tensor | None = None,
        y_terms: Tensor | None = None,
        start: Tensor | None = None,
    ):
        a = matrices if matrices.ndim == 3 else matrices[None]
        n, d, _ = a.shape
        zero = a.new_zeros(n, d)
        joint = a.new_zeros(n, 2 * d, 2 * d)
        joint[:, :d, d:], joint[:, d:, :d] = a, -a.mT
        offsets = torch.cat([zero if x_terms is None else x_terms, zero if y_terms is None else -y_terms], dim=1)
        super().__init__(joint, offsets, start)

    @staticmethod
    def coordinatewise(n: int, *, noise: bool = True, seed: int = 0) -> Coordinatewise:
        """The game of SVRE's Figure 4, A_i = e_i e_i' with n = d, stored without its matrices."""
        return Coordinatewise(n, noise=noise, seed=seed)

    @classmethod
    def with_spectrum(
        cls,
        n: fields.PositiveInt,
        spectrum: Sequence[fields.NonNegative],
        *,
        spread: fields.NonNegative = 0.5,
        noise: fields.NonNegative = 1.0,
        seed: int = 0,
    ) -> Bilinear:
        """A game whose mean matrix A = U diag(spectrum) V' has the given singular values, U and V random.

        A_i = A + spread E_i and the linear terms are noise e_i, with entries of E_i and e_i ~ N(0, 1/d), the E_i less
        their mean; the start is N(0, I / d). With one component function A_1 = A.
        """
        check_arguments(Bilinear.with_spectrum, locals())
        values = torch.tensor(spectrum, dtype=torch.float64)
        d, generator = len(values), generator_for(seed, "bilinear.spectrum", n)
        draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64) / d**0.5  # noqa: E731
        u, v = (torch.linalg.qr(draw(d, d)).Q for _ in range(2))
        scatter, x_terms, y_terms = draw(n, d, d), draw(n, d), draw(n, d)
        matrices = u @ values.diag() @ v.mT + spread * (scatter - scatter.mean(0))
        return cls(matrices, x_terms=noise * x_terms, y_terms=noise * y_terms, start=draw(2 * d))

    def constants(self) -> Constants:
        """Nothing pulls: mu is 0 and l infinite."""
        d = self.d
        norms = torch.linalg.matrix_norm(self.matrices[:, :d, d:], 2)
        return Constants(0.0, float(torch.linalg.matrix_norm(self._matrix[:d, d:], 2)), float(norms.mean()), math.inf)
