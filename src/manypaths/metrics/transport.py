"""Optimal transport between two sets of samples, exact and sliced, by POT."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidType
from manypaths.metrics.base import Kind, SampleMetric, SampleSets, Score
from manypaths.randomness import generator_for
from manypaths.registry import name_of

Order = Literal[1, 2]


@dataclass(frozen=True)
class Transport(SampleMetric):
    """What both distances share: equally many of both sets, at most ``limit``, in features or points.

    With ``space="pixels"`` images are compared as they are, entries in [0, 1], and no net is read.
    """

    order: Order = 2
    limit: fields.PositiveInt = 2000
    space: Literal["features", "pixels"] = "features"
    takes: ClassVar[tuple[Kind, ...]] = ("images", "points")

    def __post_init__(self) -> None:
        fields.check(self)

    def reads_net(self, kind: Kind) -> bool:
        return kind == "images" and self.space == "features"

    def prepare(self, kind: Kind) -> None:
        super().prepare(kind)
        if kind == "points" and self.space == "pixels":
            raise InvalidType(
                f"{name_of(type(self))}.space is 'pixels' and the samples are points: expected 'features'"
            )
        if find_spec("ot") is None:
            raise InvalidType("optimal transport needs POT, which is not installed: pip install 'manypaths[transport]'")

    def subsets(self, samples: SampleSets) -> tuple[Tensor, Tensor]:
        """Equally many of both, drawn without replacement where a set holds more."""
        pixels = self.space == "pixels"
        both = (
            (samples.generated, samples.reference)
            if pixels
            else (samples.generated_features, samples.reference_features)
        )
        n = min(self.limit, *map(len, both))
        one, other = (
            data if len(data) == n else data[torch.randperm(len(data), generator=generator)[:n]]
            for data, generator in (
                (data, generator_for(samples.seed, "transport", side))
                for data, side in zip(both, ("generated", "reference"), strict=True)
            )
        )
        return (_entries(one), _entries(other)) if pixels else (one, other)

    def row(self, samples: SampleSets, name: str, value: float, n: int, protocol: str) -> list[Score]:
        pixels = self.space == "pixels"
        about = (
            f"W_{self.order} of the empirical measures, Euclidean, {'pixels' if pixels else samples.space}{protocol}"
        )
        title, net = (f"{name} (pixels)", "") if pixels else (samples.named(name), samples.about_net)
        return [Score(title, value, None, net, n, n, about)]


@dataclass(frozen=True)
class WassersteinDistance(Transport):
    """W_p of two sets: (min over pairings of the mean of ||x_i - y_pi(i)||^p)^(1/p), p = ``order``, exact.

    Two finite sets from one distribution are a distance apart that shrinks slowly with their size, so only equal
    counts compare.
    """

    def measure(self, samples: SampleSets) -> list[Score]:
        one, other = self.subsets(samples)
        return self.row(samples, "wasserstein", wasserstein(one, other, order=self.order), len(one), "")


@dataclass(frozen=True)
class SlicedWasserstein(Transport):
    """Sliced W_p (Rabin et al. 2012): the p-mean over random directions of the projections' W_p, p = ``order``."""

    directions: fields.PositiveInt = 512

    def measure(self, samples: SampleSets) -> list[Score]:
        one, other = self.subsets(samples)
        directions = torch.nn.functional.normalize(
            torch.randn(
                one.shape[1], self.directions, generator=generator_for(samples.seed, "directions"), dtype=torch.float64
            ),
            dim=0,
        )
        value = sliced_wasserstein(one, other, directions, order=self.order)
        protocol = f", {self.directions} directions"
        return self.row(samples, "sliced wasserstein", value, len(one), protocol)


def _entries(images: Tensor) -> Tensor:
    return images.flatten(1).double() / 255


def wasserstein(one: Tensor, other: Tensor, *, order: Order) -> float:
    """W_p of two sets (N, k) and (M, k) with uniform weights, in float64."""
    import ot

    cost = torch.cdist(one.double(), other.double(), compute_mode="donot_use_mm_for_euclid_dist") ** order
    paid: Any = ot.emd2([], [], cost.numpy(), numItermax=10_000_000)
    return float(paid) ** (1 / order)


def sliced_wasserstein(one: Tensor, other: Tensor, directions: Tensor, *, order: Order) -> float:
    """Sliced W_p along unit ``directions`` (k, n), in float64."""
    import ot

    one, other = one.double(), other.double()
    distance: Any = ot.sliced_wasserstein_distance(one, other, projections=directions, p=order)
    return float(distance)
