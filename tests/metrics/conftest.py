"""A net whose features can be computed by hand, and images for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from manypaths.metrics.base import SampleSets
from manypaths.metrics.feature_nets import FeatureNet
from manypaths.models.classifiers import Classifier


class Planted(Classifier):
    """Features are the pixels; logits are a linear map of them."""

    def __init__(self, pixels: int = 4):
        super().__init__()
        self.num_features = pixels
        self.body, self.head = nn.Flatten(), nn.Linear(pixels, 10)


@pytest.fixture
def planted() -> Callable[..., FeatureNet]:
    def make(pixels: int = 4) -> FeatureNet:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return FeatureNet("planted-net", Planted(pixels).requires_grad_(False), 0.5, "abc")

    return make


@pytest.fixture
def pictures() -> Callable[..., torch.Tensor]:
    def make(n: int, seed: int, shift: int = 0, shape: tuple[int, ...] = (1, 2, 2)) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(shift, 200 + shift, (n, *shape), dtype=torch.uint8, generator=generator)

    return make


@pytest.fixture
def gaussian() -> Callable[..., torch.Tensor]:
    def make(n: int, seed: int, *, dim: int = 2, shift: float = 0.0) -> torch.Tensor:
        """Standard normal points, shifted along the first axis."""
        points = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))
        points[:, 0] += shift
        return points

    return make


@pytest.fixture
def compare(planted) -> Callable[..., SampleSets]:
    def make(generated: torch.Tensor, reference: torch.Tensor, **more: object) -> SampleSets:
        net = planted(generated[0].numel()) if generated.ndim == 4 else None
        return SampleSets(generated, reference, **{"net": net, **more})

    return make
