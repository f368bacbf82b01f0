"""The gradient penalty of WGAN-GP (Gulrajani et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from manypaths import fields
from manypaths.games.gan_sample import GanSample
from manypaths.penalties.base import Penalty, input_gradients, norms
from manypaths.randomness import counter_uniform


@dataclass(frozen=True)
class Interpolated(Penalty):
    """weight * E (||grad s(xh)||_2 - target)^2 with xh = eps x + (1 - eps) G(z), one eps ~ U[0, 1] per sample.

    With the non-saturating objective this is GAN-GP of *Many Paths to Equilibrium*; with Wasserstein, WGAN-GP.
    """

    weight: fields.NonNegative = 10.0
    target: fields.NonNegative = 1.0

    def __post_init__(self) -> None:
        fields.check(self)

    def __call__(self, critic: nn.Module, sample: GanSample, fake: Tensor) -> Tensor:
        shape = (1,) * (sample.real.ndim - 1)
        eps = counter_uniform(sample.seed, shape, "interpolated", dtype=sample.real.dtype)
        between = torch.lerp(fake, sample.real, eps)
        return self.weight * (norms(input_gradients(critic, between)) - self.target).square().mean()
