"""What the net's predicted labels say: entropy, and total variation to uniform."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from manypaths.metrics.base import Kind, SampleMetric, SampleSets, Score


@dataclass(frozen=True)
class LabelHistogram(SampleMetric):
    """Entropy of the net's predicted labels and their total variation to uniform, as in the SVRE authors' code."""

    def reads_net(self, kind: Kind) -> bool:
        return True

    def measure(self, samples: SampleSets) -> list[Score]:
        counts = label_counts(samples.generated_logits)
        about, n = samples.about_net, len(samples.generated)
        return [
            Score("label entropy", entropy(counts), None, about, n, 0, "nats; ln 10 = 2.303 is uniform"),
            Score(
                "label total variation", total_variation(counts), None, about, n, 0,
                "to the uniform distribution; 0 is uniform",
            ),
        ]  # fmt: skip


def label_counts(logits: Tensor) -> Tensor:
    """How many samples are assigned to each class."""
    return torch.bincount(logits.argmax(1), minlength=logits.shape[1])


def entropy(counts: Tensor) -> float:
    """-sum p ln p of a histogram, in nats."""
    p = counts.double() / counts.sum()
    return float(-torch.special.xlogy(p, p).sum()) + 0.0


def total_variation(counts: Tensor) -> float:
    """1/2 sum |p - 1/k| of a histogram over k classes."""
    p = counts.double() / counts.sum()
    return float((p - 1.0 / len(p)).abs().sum() / 2)
