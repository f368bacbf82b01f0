"""The Kernel Inception Distance (Binkowski et al. 2018), in the features of the data set's own net."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from manypaths import fields
from manypaths.metrics.base import Kind, SampleMetric, SampleSets, Score
from manypaths.metrics.frechet import Passed
from manypaths.randomness import seed_for


@dataclass(frozen=True)
class Kid(SampleMetric):
    """Unbiased MMD^2 of a cubic kernel k(f, g) = (f.g / d + 1)^3 in d features, mean and deviation over random subsets.

    A subset holds ``subset_size`` of each set, or all of the smaller set where it holds fewer. Unbiased, so near 0 and
    of either sign for equal distributions.
    """

    subsets: fields.PositiveInt = 100
    subset_size: fields.PositiveInt = 1000

    def __post_init__(self) -> None:
        fields.check(self)

    def reads_net(self, kind: Kind) -> bool:
        return True

    def measure(self, samples: SampleSets) -> list[Score]:
        generated, reference = samples.generated_features, samples.reference_features
        size = min(self.subset_size, len(generated), len(reference))
        mean, deviation = kernel_distance(generated, reference, subsets=self.subsets, size=size, seed=samples.seed)
        protocol = (
            f"{self.subsets} subsets of {size} of each, mean and deviation over them; unbiased MMD^2, kernel "
            f"(f.g/{generated.shape[1]} + 1)^3, penultimate features"
        )
        counts = len(generated), len(reference)
        return [Score(samples.named("kid"), mean, deviation, samples.about_net, *counts, protocol)]


def kernel_distance(
    features: Tensor, reference: Tensor, *, subsets: int, size: int, seed: int = 0
) -> tuple[float, float]:
    """MMD^2 of two sets (N, k), mean and deviation over subsets, in float64, by torchmetrics."""
    from torchmetrics.image.kid import KernelInceptionDistance

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will save all extracted features.*", category=UserWarning)
        metric = KernelInceptionDistance(feature=Passed(features.shape[1]), subsets=subsets, subset_size=size)
    metric.update(features.double(), real=False)
    metric.update(reference.double(), real=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "kid"))  # the subsets are random
        mean, deviation = metric.compute()
    return float(mean), float(deviation)
