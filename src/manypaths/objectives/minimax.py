"""The original zero-sum game of Goodfellow et al. (2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from manypaths.objectives.divergences import jensen_shannon
from manypaths.objectives.logistic import Logistic


@dataclass(frozen=True)
class Minimax(Logistic):
    """M-GAN: the generator minimises E log(1 - sigma(s(G(z)))), which saturates where the critic is sure.

    L_critic = E softplus(-s(x)) + E softplus(s(G(z))),  L_generator = -E softplus(s(G(z))).

    Stands for D = 2 JSD(p, q): L_critic = 2 log 2 - D at the optimal critic, and the generator's gradient is that of D.
    """

    zero_sum: ClassVar[bool] = True

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -softplus(fake).mean()

    def divergence(self, p: Tensor, q: Tensor, points: Tensor | None = None) -> Tensor:
        return 2 * jensen_shannon(p, q)
