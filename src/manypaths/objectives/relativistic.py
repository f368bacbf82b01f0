"""Relativistic games (Jolicoeur-Martineau 2018): a score means something only against the other side's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from manypaths.errors import InvalidValue
from manypaths.objectives.base import Objective


class _Relativistic(Objective):
    """L_generator is L_critic with the data and the fakes exchanged; it reaches the generator through the fakes."""

    generator_sees_real: ClassVar[bool] = True

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        if real is None:
            raise InvalidValue(f"{type(self).__name__} compares fakes with data: expected the real scores, got none")
        return self.critic(fake, real)


@dataclass(frozen=True)
class RelativisticPaired(_Relativistic):
    """RpGAN: L_critic = E softplus(-(s(x) - s(G(z)))),  L_generator = E softplus(-(s(G(z)) - s(x))).

    Datum i is compared with fake i, so the pair (x_i, z_i) is one component function and the finite sum stays one.

    The least loss of all critics is log 2 minus a divergence (Jolicoeur-Martineau 2020), an integral over pairs whose
    optimal critic solves p(x) E_q sigma(s(y) - s(x)) = q(x) E_p sigma(s(x) - s(y)) at every x: no closed form, so none
    is stated here.
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake - real).mean()


@dataclass(frozen=True)
class RelativisticAverage(_Relativistic):
    """RaGAN: every score is compared with the other side's batch mean.

        L_critic = E softplus(-(s(x) - E s(G(z)))) + E softplus(s(G(z)) - E s(x))
        L_generator = E softplus(-(s(G(z)) - E s(x))) + E softplus(s(x) - E s(G(z)))

    The means couple the samples of a batch, and the loss of a batch is a biased estimate of that of the
    distributions (Jolicoeur-Martineau 2020). Its optimal critic depends on its own two means, not on p and q at a
    point alone: no closed form, so no divergence is stated here.
    """

    couples_samples: ClassVar[bool] = True

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake.mean() - real).mean() + softplus(fake - real.mean()).mean()
