"""The non-saturating game with cross-entropy on probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

from manypaths.objectives.non_saturating import NonSaturating


@dataclass(frozen=True)
class NonSaturatingProbabilities(NonSaturating):
    """NS-GAN with cross-entropy on p = sigma(s), as in the SVRE authors' MNIST code (``BCELoss`` after a sigmoid).

    The same losses as ``NonSaturating`` while sigma(s) is strictly between 0 and 1 in floating point. Where it rounds
    to 1 (s > 17 in float32) or underflows to 0 the gradient is exactly 0, and a loss is at most 100.
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return _cross_entropy(real, 1.0) + _cross_entropy(fake, 0.0)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return _cross_entropy(fake, 1.0)


def _cross_entropy(scores: Tensor, target: float) -> Tensor:
    probabilities = scores.sigmoid()
    return binary_cross_entropy(probabilities, torch.full_like(probabilities, target))
