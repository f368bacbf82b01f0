"""The original zero-sum game of Goodfellow et al. (2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from manypaths.objectives.base import Objective


@dataclass(frozen=True)
class Minimax(Objective):
    """M-GAN: the generator minimises E log(1 - sigma(s(G(z)))), which saturates where the critic is sure.

    L_critic = E softplus(-s(x)) + E softplus(s(G(z))),  L_generator = -E softplus(s(G(z))).
    Written with softplus on logits: log(1 - sigma(s)) = -softplus(s), without an epsilon and without overflow.
    """

    zero_sum: ClassVar[bool] = True

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -softplus(fake).mean()
