"""Lazy regularisation (Karras et al. 2020, StyleGAN2): a penalty that is seldom paid, and then in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from manypaths import fields
from manypaths.errors import InvalidType
from manypaths.penalties.base import Penalty
from manypaths.penalties.conditioned import Conditioned
from manypaths.penalties.r1 import R1
from manypaths.randomness import counter_uniform
from manypaths.sources.gan_sample import GanSample


@dataclass(frozen=True)
class Lazy(Penalty):
    """every / N * sum_i c_i penalty_i, with coins c_i = 1 of probability 1 / every: in the mean the penalty itself.

    Each sample has a coin of its own, a function of ``sample.seed``: SVRG sees equal coins at both points, and a
    finite sum stays one. The penalty is evaluated on the chosen samples alone, so its cost falls by ``every`` like
    that of StyleGAN2's one choice per batch, which would couple the samples of a batch, at a larger variance. On a
    GPU counting the chosen waits for the device.

    Attributes:
        penalty: what is paid; it may not look at more than one sample at a time.
        every: mean number of samples between two that are chosen.
    """

    takes_part: ClassVar[bool] = True

    penalty: Penalty = R1()
    every: fields.PositiveInt = 16

    def __post_init__(self) -> None:
        fields.check(self)
        if self.penalty.player != "critic":
            raise InvalidType(
                f"Lazy is for penalties of the critic and this {type(self.penalty).__name__} is of the "
                f"{self.penalty.player}: expected the penalty itself"
            )
        if self.penalty.couples_samples:
            kind = type(self.penalty).__name__
            raise InvalidType(
                f"Lazy evaluates a part of the batch and this {kind} depends on all of it: expected a penalty that "
                "does not couple samples, for example Dragan(std=0.5)"
            )

    @property
    def per_sample(self) -> bool:  # type: ignore[override]
        return self.penalty.per_sample

    def __call__(self, critic: nn.Module, sample: GanSample, fake: Tensor) -> Tensor:
        try:
            chosen = self.chosen(sample.seed).nonzero().flatten()
        except RuntimeError as error:
            raise InvalidType(
                "Lazy chooses another number of samples in each member of a population: expected the penalty itself"
            ) from error
        if len(chosen) == 0:
            return sample.real.new_zeros(())
        part = critic.rows(chosen) if isinstance(critic, Conditioned) else critic
        return self.every * len(chosen) / len(sample) * self.penalty(part, sample[chosen], fake[chosen])

    def chosen(self, seed: Tensor) -> Tensor:
        """The coins of the samples with these seeds, a mask (N,)."""
        return counter_uniform(seed, (), "lazy") * self.every < 1
