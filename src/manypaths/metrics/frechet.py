"""The Frechet distance in the features of the data set's own net."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from manypaths.metrics.base import Kind, SampleMetric, SampleSets, Score


@dataclass(frozen=True)
class Frechet(SampleMetric):
    """Distance of the two sets' Gaussians in a net's features, named after the net (Dowson and Landau 1982)."""

    def reads_net(self, kind: Kind) -> bool:
        return True

    def measure(self, samples: SampleSets) -> list[Score]:
        generated, reference = samples.generated_features, samples.reference_features
        value, protocol = frechet_distance(generated, reference), "penultimate features, float64 covariances"
        name = samples.named("frechet")
        return [Score(name, value, None, samples.about_net, len(generated), len(reference), protocol)]


class Passed(nn.Identity):
    """Features in place of images, where torchmetrics expects an extractor."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features


def frechet_distance(features: Tensor, reference: Tensor) -> float:
    """||m_1 - m_2||^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^{1/2}) of two sets (N, k), in float64, by torchmetrics."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=Passed(features.shape[1]))
    for part in features.double().split(500):
        metric.update(part, real=False)
    for part in reference.double().split(500):
        metric.update(part, real=True)
    return float(metric.compute())
