"""The non-saturating game of Goodfellow et al. (2014)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from manypaths.objectives.base import Objective


@dataclass(frozen=True)
class NonSaturating(Objective):
    """NS-GAN: the generator minimises -E log sigma(s(G(z))), whose gradient stays where the critic is sure.

    L_critic = E softplus(-s(x)) + E softplus(s(G(z))),  L_generator = E softplus(-s(G(z))).
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return softplus(-fake).mean()
