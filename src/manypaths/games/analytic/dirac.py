"""The smallest GAN: one number against one number (Mescheder, Geiger and Nowozin 2018)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.fields import check_arguments
from manypaths.games.analytic.base import AnalyticGame


class DiracGan(AnalyticGame):
    """Data at 0, a generator that puts all mass at theta, a linear critic s(x) = psi x; w = (psi, theta).

    With t = psi theta, the score of the fake, and f = softplus:

        critic     f(t) + gamma/2 psi^2           minimax and non-saturating (less the constant log 2)
                   t + gamma/2 psi^2              wasserstein
        generator  -f(t), f(-t), -t               minimax, non-saturating, wasserstein

    The equilibrium is 0, and without R1 the eigenvalues of the Jacobian there are imaginary: no step size contracts.

    Args:
        objective: which losses.
        r1: gamma, the weight of the zero-centred penalty E |s'(x)|^2 / 2 = psi^2 / 2 on the data.
        start: the initial (psi, theta).
    """

    def __init__(
        self,
        objective: Literal["minimax", "non-saturating", "wasserstein"] = "minimax",
        *,
        r1: fields.NonNegative = 0.0,
        start: tuple[float, float] = (1.0, 1.0),
    ):
        check_arguments(DiracGan, locals())
        self.objective, self.r1 = objective, float(r1)
        w = torch.tensor(start, dtype=torch.float64)
        super().__init__({"critic": w[:1], "generator": w[1:]})

    def field(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        psi, theta = w.unbind(-1)
        critic, generator, _, _ = self._slopes(psi * theta)
        return torch.stack([critic * theta + self.r1 * psi, generator * psi], -1)

    def values(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        psi, theta = w.unbind(-1)
        t, f = psi * theta, torch.nn.functional.softplus
        if self.objective == "wasserstein":
            critic, generator = t, -t
        else:
            critic, generator = f(t) + math.log(2), -f(t) if self.objective == "minimax" else f(-t)
        return torch.stack([critic + self.r1 / 2 * psi.square(), generator], -1)

    def jacobian(self, w: Tensor | None = None, index: Tensor | None = None) -> Tensor:
        psi, theta = (self.joint() if w is None else w).unbind(-1)
        critic, generator, critic_bends, generator_bends = self._slopes(psi * theta)
        rows = [
            [critic_bends * theta.square() + self.r1, critic_bends * psi * theta + critic],
            [generator_bends * psi * theta + generator, generator_bends * psi.square()],
        ]
        return torch.stack([torch.stack(row, -1) for row in rows], -2)

    def solution(self) -> Tensor:
        return torch.zeros_like(self._start)

    def _slopes(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """First derivatives of the critic's and the generator's loss in t, then the second ones."""
        if self.objective == "wasserstein":
            one, zero = torch.ones_like(t), torch.zeros_like(t)
            return one, -one, zero, zero
        up, down = t.sigmoid(), (-t).sigmoid()
        if self.objective == "minimax":
            return up, -up, up * down, -up * down
        return up, -down, up * down, up * down
