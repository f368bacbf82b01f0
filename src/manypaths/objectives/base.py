"""The contract of a GAN objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from manypaths.errors import InvalidType


class Objective(ABC):
    """Both players' losses as pure functions of the critic's scores s (logits, unbounded), shape (N,).

    Each player minimises its own; both are batch means. ``generator`` gets the real scores too, ``None`` unless
    ``generator_sees_real``.

    An objective also states the divergence D(p, q) of the data p and the generator's q that it stands for where the
    critic is optimal; each class says in which sense, for the value of a loss and the generator's gradient (the
    critic held fixed) need not stand for the same. p and q are masses of common atoms, (K,): probabilities, or
    densities times the weights of a quadrature rule.
    """

    couples_samples: ClassVar[bool] = False
    zero_sum: ClassVar[bool] = False
    """Whether the generator's loss is minus the part of the critic's loss that depends on the fakes."""
    generator_sees_real: ClassVar[bool] = False

    @abstractmethod
    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss, a scalar."""

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The generator's loss, a scalar."""

    def optimal_critic(self, p: Tensor, q: Tensor, points: Tensor | None = None) -> Tensor:
        """The scores of the atoms that minimise the critic's loss, (K,); densities do as well as masses.

        ``points`` are the places of the atoms on the line, ascending, (K,); only ``Wasserstein`` reads them. Where
        neither p nor q has mass any score is optimal, and this one may be NaN. Raises ``InvalidType`` where no closed
        form exists.
        """
        raise self._unstated()

    def divergence(self, p: Tensor, q: Tensor, points: Tensor | None = None) -> Tensor:
        """D(p, q) >= 0, a scalar, zero at p = q and differentiable in both; arguments as in ``optimal_critic``."""
        raise self._unstated()

    def _unstated(self) -> InvalidType:
        kind = type(self).__name__
        return InvalidType(f"{kind} states no divergence: its optimal critic has no closed form, or was not given one")


def is_zero_sum(objective: Objective) -> bool:
    """Whether the generator's gradient at the fakes is minus the critic's, on 16 scores in float64 to 1e-12."""
    real, fake = torch.linspace(-3, 2, 16, dtype=torch.float64), torch.linspace(-1, 4, 16, dtype=torch.float64)
    fake.requires_grad_()
    with torch.enable_grad():
        losses = (
            objective.critic(real, fake),
            objective.generator(fake, real if objective.generator_sees_real else None),
        )
    ours, theirs = (torch.autograd.grad(loss, fake)[0] for loss in losses)
    return torch.allclose(ours, -theirs, rtol=0, atol=1e-12)
