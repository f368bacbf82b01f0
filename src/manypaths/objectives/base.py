"""The contract of a GAN objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor


class Objective(ABC):
    """Both players' losses as pure functions of the critic's scores s (logits, unbounded), shape (N,).

    Each player minimises its own; both are batch means. ``generator`` gets the real scores too, ``None`` unless
    ``generator_sees_real``.
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
