"""The Inception Score (Salimans et al. 2016), on the data set's own classifier."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from manypaths import fields
from manypaths.metrics.base import Kind, SampleMetric, SampleSets, Score
from manypaths.randomness import seed_for


@dataclass(frozen=True)
class InceptionScore(SampleMetric):
    """exp E_x KL(p(y|x) || p(y)) of the net's class probabilities, mean and deviation over random splits."""

    splits: fields.PositiveInt = 10

    def __post_init__(self) -> None:
        fields.check(self)

    @property
    def least(self) -> int:
        return 2 * self.splits

    def reads_net(self, kind: Kind) -> bool:
        return True

    def measure(self, samples: SampleSets) -> list[Score]:
        logits = samples.generated_logits
        mean, deviation = inception_score(logits, splits=self.splits, seed=samples.seed)
        protocol = f"{self.splits} splits, mean and deviation over them"
        return [Score("inception score", mean, deviation, samples.about_net, len(logits), 0, protocol)]


def inception_score(logits: Tensor, *, splits: int = 10, seed: int = 0) -> tuple[float, float]:
    """The score of logits (N, classes) and its deviation over the splits, by torchmetrics."""
    from torchmetrics.image.inception import InceptionScore  # takes a second to import

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will save all extracted features.*", category=UserWarning)
        metric = InceptionScore(feature=nn.Identity(), splits=splits)
    metric.update(logits)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "inception score"))  # the splits are random
        mean, deviation = metric.compute()
    return float(mean), float(deviation)
