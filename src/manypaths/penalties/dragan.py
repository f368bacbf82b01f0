"""The DRAGAN penalty (Kodali et al. 2017): a gradient penalty around the data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from manypaths import fields
from manypaths.penalties.base import InputGradientPenalty, norms
from manypaths.randomness import counter_normal, counter_uniform
from manypaths.sources.gan_sample import GanSample


@dataclass(frozen=True)
class Dragan(InputGradientPenalty):
    """weight * E (||grad s(xh)||_2 - target)^2 with xh a noisy datum; three noises are in use.

    With the non-saturating objective this is DRAGAN-NS of *Many Paths to Equilibrium*.

    - ``"original"`` (the authors' code): xh = x + alpha * 0.5 * std * U[0,1], one alpha ~ U[0,1] per sample;
    - ``"compare-gan"``: xh = x + std * (U[0,1] - 0.5), clipped to the data range [-1, 1];
    - ``"gaussian"``: xh = x + 0.5 * std * N(0, 1).

    ``std`` is the ``"batch"``'s standard deviation over all its entries, which couples the samples of a batch, or a
    number: the data set's own, which keeps the finite sum a finite sum.
    """

    weight: fields.NonNegative = 10.0
    noise: Literal["original", "compare-gan", "gaussian"] = "original"
    std: Literal["batch"] | fields.Positive = "batch"
    target: fields.NonNegative = 1.0

    def __post_init__(self) -> None:
        fields.check(self)

    @property
    def couples_samples(self) -> bool:  # type: ignore[override]
        return self.std == "batch"

    def penalty_function(self, gradients: Tensor) -> Tensor:
        return (norms(gradients) - self.target).square()

    def points(self, sample: GanSample, fake: Tensor) -> Tensor:
        x, shape = sample.real, sample.real.shape[1:]
        std = x.std() if self.std == "batch" else self.std
        if self.noise == "gaussian":
            return x + 0.5 * std * counter_normal(sample.seed, shape, "dragan", dtype=x.dtype)
        uniform = counter_uniform(sample.seed, shape, "dragan", dtype=x.dtype)
        if self.noise == "compare-gan":
            return (x + std * (uniform - 0.5)).clamp(-1.0, 1.0)
        alpha = counter_uniform(sample.seed, (1,) * len(shape), "dragan/alpha", dtype=x.dtype)
        return x + alpha * 0.5 * std * uniform
