"""Bilinear games: pure rotation, the place where gradient descent fails."""

from __future__ import annotations

import torch
from torch import Tensor

from manypaths.games.quadratic import Quadratic
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

    @classmethod
    def coordinatewise(cls, n: int, *, noise: bool = True, seed: int = 0) -> Bilinear:
        """The game of SVRE's Figure 4: A_i = e_i e_i' with n = d, and a_i, b_i, x_0, y_0 ~ N(0, I/d).

        Without ``noise`` the linear terms vanish: the counterexample on which stochastic extragradient with
        independent samples diverges at every step size (SVRE, section 2).
        """
        generator = generator_for(seed, "bilinear.coordinatewise")
        draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64) / n**0.5  # noqa: E731
        eye = torch.eye(n, dtype=torch.float64)
        x_terms, y_terms = (draw(n, n), draw(n, n)) if noise else (None, None)
        return cls(eye[:, :, None] * eye[:, None, :], x_terms=x_terms, y_terms=y_terms, start=draw(2 * n))
