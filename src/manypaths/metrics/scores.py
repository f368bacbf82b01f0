"""Scores of generated images, each row with its net, its sample counts and its protocol."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from manypaths.errors import InvalidValue
from manypaths.metrics.feature_nets import FeatureNet
from manypaths.models.classifiers import Classifier
from manypaths.randomness import seed_for

if TYPE_CHECKING:
    from torchmetrics import Metric

SPLITS = 10


@dataclass(frozen=True)
class Score:
    """One number, with everything one must know to compare it.

    Attributes:
        metric: its name; a Frechet distance carries its net's name and is never called FID.
        value: the score.
        deviation: over the splits of an Inception Score, else ``None``.
        net: the feature net and its test accuracy.
        samples, reference: how many images were generated, and how many real ones they are compared with.
        protocol: the rest, in words.
    """

    metric: str
    value: float
    deviation: float | None
    net: str
    samples: int
    reference: int
    protocol: str


def image_scores(generated: Tensor, reference: Tensor, feature_net: FeatureNet, *, seed: int = 0) -> list[Score]:
    """Inception Score, Frechet distance, entropy and total variation of the label histogram.

    ``generated`` and ``reference`` are uint8 images (N, C, H, W).
    """
    for name, images in (("generated", generated), ("reference", reference)):
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise InvalidValue(f"{name} is {images.dtype} of shape {tuple(images.shape)}: expected uint8 (N, C, H, W)")
    if len(generated) < 2 * SPLITS:
        raise InvalidValue(f"there are {len(generated)} samples: expected at least {2 * SPLITS}")
    about = f"{feature_net.name}, test accuracy {feature_net.accuracy:.4f}"
    net = feature_net.net
    row = lambda metric, value, deviation, reference, protocol: Score(  # noqa: E731
        metric, float(value), deviation, about, len(generated), reference, protocol
    )
    mean, deviation = inception_score(net, generated, seed=seed)
    distance = frechet_distance(net, generated, reference)
    counts = label_counts(net, generated)
    return [
        row("inception score", mean, deviation, 0, f"{SPLITS} splits, mean and deviation over them"),
        row(
            f"frechet ({feature_net.name})", distance, None, len(reference), "penultimate features, float64 covariances"
        ),
        row("label entropy", entropy(counts), None, 0, "nats; ln 10 = 2.303 is uniform"),
        row("label total variation", total_variation(counts), None, 0, "to the uniform distribution; 0 is uniform"),
    ]


def inception_score(net: Classifier, images: Tensor, *, splits: int = SPLITS, seed: int = 0) -> tuple[float, float]:
    """exp E_x KL(p(y|x) || p(y)), mean and deviation over splits (Salimans et al. 2016), by torchmetrics."""
    from torchmetrics.image.inception import InceptionScore  # takes a second to import

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will save all extracted features.*", category=UserWarning)
        metric = InceptionScore(feature=_Double(net.forward), splits=splits)
    _update(metric, images)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "inception score"))  # the splits are random
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def frechet_distance(net: Classifier, images: Tensor, reference: Tensor) -> float:
    """||m_1 - m_2||^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^{1/2}) of the two sets' features, in float64, by torchmetrics."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_Double(net.features, net.num_features))
    _update(metric, images, real=False)
    _update(metric, reference, real=True)
    return float(metric.compute())


@torch.no_grad()
def label_counts(net: Classifier, images: Tensor) -> Tensor:
    """How many images the net assigns to each of its ten classes."""
    labels = torch.cat([net(part).argmax(1) for part in images.split(500)])
    return torch.bincount(labels, minlength=10)


def entropy(counts: Tensor) -> float:
    """-sum p ln p of a histogram, in nats."""
    p = counts.double() / counts.sum()
    return float(-torch.special.xlogy(p, p).sum()) + 0.0


def total_variation(counts: Tensor) -> float:
    """1/2 sum |p - 1/k| of a histogram over k classes."""
    p = counts.double() / counts.sum()
    return float((p - 1.0 / len(p)).abs().sum() / 2)


class _Double(nn.Module):
    """A feature extractor as torchmetrics wants it, with float64 at its end."""

    def __init__(self, function: object, num_features: int = 10):
        super().__init__()
        self._function, self.num_features = function, num_features

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return self._function(images).double()  # type: ignore[operator]


def _update(metric: Metric, images: Tensor, **side: bool) -> None:
    for part in images.split(500):
        metric.update(part, **side)
