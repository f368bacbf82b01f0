"""The hinge game (Lim and Ye 2017; Miyato et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu

from manypaths.objectives.base import Objective
from manypaths.objectives.divergences import total_variation


@dataclass(frozen=True)
class Hinge(Objective):
    """L_critic = E max(0, 1 - s(x)) + E max(0, 1 + s(G(z))),  L_generator = -E s(G(z)).

    The critic hears nothing of samples beyond the margin, so its scores stay near [-1, 1].

    Stands for D = 2 TV(p, q): the optimal critic is s = sign(p - q), where L_critic = 2 - D, and the generator's
    gradient is that of D.
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.mean()

    def optimal_critic(self, p: Tensor, q: Tensor, points: Tensor | None = None) -> Tensor:
        return (p - q).sign()

    def divergence(self, p: Tensor, q: Tensor, points: Tensor | None = None) -> Tensor:
        return 2 * total_variation(p, q)
