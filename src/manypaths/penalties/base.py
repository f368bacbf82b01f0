"""The contract of a penalty, and the critic's input gradient, taken once and correctly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from manypaths.games.gan_sample import GanSample


class Penalty(ABC):
    """A regulariser that is added to the critic's loss.

    ``__call__(critic, sample, fake)`` returns a scalar, a batch mean; ``fake`` carries no graph (unless the field
    itself is being differentiated). All randomness comes from ``sample`` (``counter_uniform(sample.seed, ...)``).
    """

    couples_samples: bool = False
    per_sample: ClassVar[bool] = True
    """Whether the penalty needs the critic to treat samples one by one (it does not under BatchNorm)."""

    @abstractmethod
    def __call__(self, critic: nn.Module, sample: GanSample, fake: Tensor) -> Tensor:
        """The penalty at the sample's points."""


def input_gradients(critic: nn.Module, data: Tensor) -> Tensor:
    """grad_x s(x) for every sample of ``data``, same shape as ``data``, differentiable in the critic's weights.

    Through ``torch.func.grad`` and ``functional_call``, the form that differentiates twice under ``torch.compile``
    too. Buffers are cloned, so a penalty's pass moves no running statistics, and handed over as an argument, because
    a BatchNorm layer writes into its own.
    """
    buffers = {name: buffer.clone() for name, buffer in critic.named_buffers()}

    def total(x: Tensor, buffers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(critic, buffers, (x,)).sum()

    return torch.func.grad(total)(data, buffers)


def squared_norms(gradients: Tensor) -> Tensor:
    """||g_i||_2^2 per sample over *all* remaining dimensions (not per pixel, not over the batch), (N,)."""
    return gradients.reshape(len(gradients), -1).square().sum(1)


def norms(gradients: Tensor) -> Tensor:
    """||g_i||_2 per sample, (N,), with derivative 0 instead of NaN at g_i = 0."""
    squared = squared_norms(gradients)
    zero = squared == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, squared).sqrt())
