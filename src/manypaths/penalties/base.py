"""The contracts of a penalty and of a projection, and the critic's input gradient, taken once and correctly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from manypaths import fields
from manypaths.eager import uncompiled
from manypaths.sources.gan_sample import GanSample


class Penalty(ABC):
    """A regulariser that is added to the critic's loss, or to that of another ``player``.

    ``__call__(critic, sample, fake)`` returns a scalar, a batch mean; ``fake`` carries no graph (unless the field
    itself is being differentiated). All randomness comes from ``sample`` (``counter_uniform(sample.seed, ...)``).
    """

    player: Literal["critic", "generator"] = "critic"
    """Whose loss it is added to, and whose network it is called with."""
    couples_samples: bool = False
    per_sample: ClassVar[bool] = True
    """Whether the penalty needs the critic to treat samples one by one (it does not under BatchNorm)."""
    takes_part: ClassVar[bool] = False
    """Whether it evaluates the critic at a part of the batch, which BatchNorm would see as another batch."""

    @abstractmethod
    def __call__(self, critic: nn.Module, sample: GanSample, fake: Tensor) -> Tensor:
        """The penalty at the sample's points."""


class InputGradientPenalty(Penalty):
    """weight * E penalty_function(grad_x s(xh)): a penalty on the critic's slope at some points xh, one per sample.

    Always in the precision of the data: under autocast a squared norm over thousands of pixels, differentiated once
    more, would keep two digits.
    """

    weight: float

    @abstractmethod
    def points(self, sample: GanSample, fake: Tensor) -> Tensor:
        """Where the slope is taken, (N, ...) like the data."""

    @abstractmethod
    def penalty_function(self, gradients: Tensor) -> Tensor:
        """What the slopes (N, ...) cost, (N,)."""

    def __call__(self, critic: nn.Module, sample: GanSample, fake: Tensor) -> Tensor:
        with torch.autocast(sample.real.device.type, enabled=False):
            points = self.points(sample, fake.to(sample.real.dtype))
            return self.weight * self.penalty_function(input_gradients(critic, points)).mean()


@dataclass(frozen=True)
class ZeroCentred(InputGradientPenalty):
    """weight / 2 * E ||grad s(xh)||_2^2."""

    weight: fields.NonNegative = 1.0

    def __post_init__(self) -> None:
        fields.check(self)

    def penalty_function(self, gradients: Tensor) -> Tensor:
        return squared_norms(gradients) / 2


class Projection(ABC):
    """Keeps a player's weights in a set: after every move they are put back to the nearest point of it.

    A constraint and no loss: it has no gradient. It acts in place and on every entry alone, so it holds for the
    stacked weights of a population too.
    """

    @abstractmethod
    def __call__(self, parameters: Sequence[Tensor]) -> None:
        """Move the parameters into the set, in place."""


def input_gradients(critic: nn.Module, data: Tensor) -> Tensor:
    """grad_x s(x) for every sample of ``data``, same shape as ``data``, differentiable in the critic's weights.

    Through ``torch.func.grad`` and ``functional_call``, the form that differentiates twice under ``torch.compile``
    too. Buffers are cloned, so a penalty's pass moves no running statistics, and handed over as an argument, because
    a BatchNorm layer writes into its own. A critic that was compiled by itself runs eagerly here.
    """
    buffers = {name: buffer.clone() for name, buffer in critic.named_buffers()}

    def total(x: Tensor, buffers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(critic, buffers, (x,)).sum()

    with uncompiled(critic):
        return torch.func.grad(total)(data, buffers)


def squared_norms(gradients: Tensor) -> Tensor:
    """||g_i||_2^2 per sample over *all* remaining dimensions (not per pixel, not over the batch), (N,)."""
    return gradients.reshape(len(gradients), -1).square().sum(1)


def norms(gradients: Tensor) -> Tensor:
    """||g_i||_2 per sample, (N,), with derivative 0 instead of NaN at g_i = 0."""
    squared = squared_norms(gradients)
    zero = squared == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, squared).sqrt())
