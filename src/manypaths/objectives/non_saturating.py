"""The non-saturating game of Goodfellow et al. (2014)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from manypaths.objectives.divergences import kullback_leibler
from manypaths.objectives.logistic import Logistic


@dataclass(frozen=True)
class NonSaturating(Logistic):
    """NS-GAN: the generator minimises -E log sigma(s(G(z))), whose gradient stays where the critic is sure.

    L_critic = E softplus(-s(x)) + E softplus(s(G(z))),  L_generator = E softplus(-s(G(z))).

    Stands for D = KL(q || p) - 2 JSD(p, q) in the generator's gradient only: against the optimal critic, held fixed, it
    is the gradient of D (Arjovsky and Bottou 2017), although the critic's loss there is that of ``Minimax``. Computed
    as D = 2 KL(m || p) with m = (p + q) / 2, the same number, which shows that D >= 0.
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return softplus(-fake).mean()

    def divergence(self, p: Tensor, q: Tensor, points: Tensor | None = None) -> Tensor:
        return 2 * kullback_leibler((p + q) / 2, p)
