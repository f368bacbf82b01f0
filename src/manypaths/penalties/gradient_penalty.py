"""The gradient penalty of WGAN-GP (Gulrajani et al. 2017) and its relatives between data and fakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.penalties.base import InputGradientPenalty, norms
from manypaths.randomness import counter_uniform
from manypaths.sources.gan_sample import GanSample


@dataclass(frozen=True)
class GradientPenalty(InputGradientPenalty):
    """weight * E (||grad s(xh)||_2 - target)^2 with xh = eps x + (1 - eps) G(z), one eps ~ U[0, 1] per sample.

    With the non-saturating objective this is GAN-GP of *Many Paths to Equilibrium*; with Wasserstein, WGAN-GP.
    ``sides="one"`` is max(0, ||grad s(xh)||_2 - target)^2, which lets the critic be flat (Petzka, Fischer and
    Lukovnikov 2018: WGAN-LP). ``target=0.0`` is the zero-centred form, weight * E ||grad s(xh)||_2^2 (Thanh-Tung, Tran
    and Venkatesh 2019).
    """

    weight: fields.NonNegative = 10.0
    target: fields.NonNegative = 1.0
    sides: Literal["two", "one"] = "two"

    def __post_init__(self) -> None:
        fields.check(self)
        if self.sides == "one" and self.target == 0:
            raise InvalidValue("sides is 'one' with target 0: no norm lies below 0, expected target > 0 or sides 'two'")

    def points(self, sample: GanSample, fake: Tensor) -> Tensor:
        shape = (1,) * (sample.real.ndim - 1)
        eps = counter_uniform(sample.seed, shape, "interpolated", dtype=sample.real.dtype)
        return torch.lerp(fake, sample.real, eps)

    def penalty_function(self, gradients: Tensor) -> Tensor:
        excess = norms(gradients) - self.target
        return (excess.relu() if self.sides == "one" else excess).square()
