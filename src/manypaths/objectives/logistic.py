"""The critic as a classifier by logits, which several objectives share."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from manypaths.objectives.base import Objective


class Logistic(Objective):
    """L_critic = E softplus(-s(x)) + E softplus(s(G(z))): cross-entropy, with s the log odds of being real.

    Written with softplus on logits, -log sigma(s) = softplus(-s), without an epsilon and without overflow. The optimal
    critic is s = log(p / q), where the loss is 2 log 2 - 2 JSD(p, q) (Goodfellow et al. 2014).
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real).mean() + softplus(fake).mean()

    def optimal_critic(self, p: Tensor, q: Tensor, points: Tensor | None = None) -> Tensor:
        return p.log() - q.log()
