"""How many of Stacked MNIST's 1,000 modes are there, and how evenly (Metz et al. 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.metrics.base import Kind, SampleMetric, SampleSets, Score, apply, describe
from manypaths.metrics.feature_nets import feature_net

CHANNELS = 3


@dataclass(frozen=True)
class StackedModes(SampleMetric):
    """Modes and KL(p || uniform) of three digits in the channels, each labelled by a net for one grey digit.

    A mode is a triple of labels, one of 1,000; the KL is in nats, at most ln 1000 = 6.908, and is not small for few
    samples: n independent uniform ones leave about exp(-n / 1000) of the modes out.
    """

    net: str = "mnist-cnn"

    def __post_init__(self) -> None:
        fields.check(self)

    def prepare(self, kind: Kind) -> None:
        super().prepare(kind)
        feature_net(self.net)

    def measure(self, samples: SampleSets) -> list[Score]:
        images, net = samples.generated, feature_net(self.net)
        if images.shape[1] != CHANNELS:
            raise InvalidValue(f"the images have {images.shape[1]} channels: expected 3, a digit in each")
        digits = torch.stack([apply(net.net, images[:, i : i + 1]).argmax(1) for i in range(CHANNELS)], dim=1)
        counts = mode_counts(digits)
        protocol = f"{len(images)} samples, each channel labelled by {self.net}, {len(counts)} modes"
        row = lambda name, value, more="": Score(  # noqa: E731
            f"{name} ({self.net})", float(value), None, describe(net), len(images), 0, protocol + more
        )
        return [
            row("modes", (counts > 0).sum()),
            row("modes KL", divergence_to_uniform(counts), "; KL to uniform, nats"),
        ]


def mode_counts(digits: Tensor, *, classes: int = 10) -> Tensor:
    """How often each tuple of labels (N, channels) occurs, (classes ** channels,)."""
    channels = digits.shape[1]
    weights = classes ** torch.arange(channels - 1, -1, -1)
    return torch.bincount((digits * weights).sum(1), minlength=classes**channels)


def divergence_to_uniform(counts: Tensor) -> float:
    """KL(p || uniform) = ln k + sum p ln p of a histogram over k modes, in nats."""
    p = counts.double() / counts.sum()
    return math.log(len(p)) + float(torch.special.xlogy(p, p).sum())
