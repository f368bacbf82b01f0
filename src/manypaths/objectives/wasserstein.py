"""The Wasserstein game (Arjovsky, Chintala and Bottou 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from manypaths.errors import InvalidValue
from manypaths.objectives import divergences
from manypaths.objectives.base import Objective


@dataclass(frozen=True)
class Wasserstein(Objective):
    """WGAN: L_critic = E s(G(z)) - E s(x),  L_generator = -E s(G(z)).

    Nothing in the losses bounds the critic. Keep its slope near 1 with ``GradientPenalty`` (WGAN-GP), its weights in a
    box with ``WeightClipping`` (as published), or its layers at spectral norm 1.

    Stands for D = W_1(p, q), the largest -L_critic of a 1-Lipschitz critic, whose generator's gradient is that of D.
    On the line the optimal critic has slope sign(Q - P), with P and Q the distribution functions; elsewhere there is
    no closed form. Both therefore need ``points``.
    """

    zero_sum: ClassVar[bool] = True

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.mean()

    def optimal_critic(self, p: Tensor, q: Tensor, points: Tensor | None = None) -> Tensor:
        """Zero at the first point. Needs masses: distribution functions are sums of them."""
        points = _on_the_line(p, points)
        slopes = (q - p).cumsum(0)[:-1].sign()
        return torch.cat([points.new_zeros(1), (slopes * points.diff()).cumsum(0)])

    def divergence(self, p: Tensor, q: Tensor, points: Tensor | None = None) -> Tensor:
        return divergences.wasserstein(p, q, _on_the_line(p, points))


def _on_the_line(p: Tensor, points: Tensor | None) -> Tensor:
    if points is None:
        raise InvalidValue("Wasserstein needs the places of the atoms: expected points on the line, ascending, (K,)")
    if points.shape != p.shape or (points.diff() <= 0).any():
        raise InvalidValue(
            f"points of shape {tuple(points.shape)} for {tuple(p.shape)} masses: expected as many, in ascending order"
        )
    return points
