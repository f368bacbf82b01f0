"""The Wasserstein GAN of one Gaussian, its expectations in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from manypaths import fields
from manypaths.fields import check_arguments
from manypaths.games.analytic.base import AnalyticGame


class GaussianGan(AnalyticGame):
    """Data N(m, s^2), a generator G(z) = a z + b of z ~ N(0, 1), a critic s(x) = u x^2 + v x; w = (u, v, a, b).

        critic     u (a^2 + b^2 - m^2 - s^2) + v (b - m) + lambda/2 (u^2 + v^2)
        generator  -u (a^2 + b^2) - v b

    The equilibrium is u = v = 0, b = m and a = s (or -s). Without the regulariser neither player has curvature there,
    and the interaction is not bilinear.

    Args:
        mean, deviation: m and s of the data.
        regulariser: lambda, an L2 penalty on the critic's weights.
        start: the initial (u, v, a, b).
    """

    def __init__(
        self,
        *,
        mean: float = 1.0,
        deviation: fields.Positive = 1.0,
        regulariser: fields.NonNegative = 0.0,
        start: tuple[float, float, float, float] = (0.0, 0.0, 0.5, 0.0),
    ):
        check_arguments(GaussianGan, locals())
        self.mean, self.deviation, self.regulariser = float(mean), float(deviation), float(regulariser)
        w = torch.tensor(start, dtype=torch.float64)
        super().__init__({"critic": w[:2], "generator": w[2:]})

    def field(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        u, v, a, b = w.unbind(-1)
        critic = [self._moment_gap(a, b) + self.regulariser * u, b - self.mean + self.regulariser * v]
        return torch.stack([*critic, -2 * u * a, -2 * u * b - v], -1)

    def values(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        u, v, a, b = w.unbind(-1)
        penalty = self.regulariser / 2 * (u.square() + v.square())
        critic = u * self._moment_gap(a, b) + v * (b - self.mean) + penalty
        return torch.stack([critic, -u * (a.square() + b.square()) - v * b], -1)

    def jacobian(self, w: Tensor | None = None, index: Tensor | None = None) -> Tensor:
        u, _, a, b = (self.joint() if w is None else w).unbind(-1)
        zero, one = torch.zeros_like(u), torch.ones_like(u)
        pull = self.regulariser * one
        rows = [
            [pull, zero, 2 * a, 2 * b],
            [zero, pull, zero, one],
            [-2 * a, zero, -2 * u, zero],
            [-2 * b, -one, zero, -2 * u],
        ]
        return torch.stack([torch.stack(row, -1) for row in rows], -2)

    def solution(self) -> Tensor:
        """(0, 0, s, m); (0, 0, -s, m) is one too."""
        return self._start.new_tensor([0.0, 0.0, self.deviation, self.mean])

    def _moment_gap(self, a: Tensor, b: Tensor) -> Tensor:
        """E G(z)^2 - E x^2."""
        return a.square() + b.square() - self.mean**2 - self.deviation**2
