"""How far two samples are apart, by many measures with one signature, any number of pairs at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from manypaths.metrics.gaussians import Gaussian, squared_bures
from manypaths.metrics.nearest_neighbours import neighbour_jensen_shannon, neighbour_kullback_leibler
from manypaths.metrics.transport import Order, wasserstein

Divergence = Literal["jsd", "kl", "reverse-kl", "w1", "w2", "frechet", "mmd"]
Measure = Callable[[Tensor, Tensor], Tensor]
"""Generated (m, N, d) and reference (m, M, d) to (m,)."""


def frechet(generated: Tensor, reference: Tensor) -> Tensor:
    """The Frechet distance, W_2^2 of the Gaussians fitted to both."""
    return squared_bures(Gaussian.fitted(generated), Gaussian.fitted(reference))


def squared_mmd(generated: Tensor, reference: Tensor) -> Tensor:
    """Unbiased MMD^2 (Gretton et al. 2012), kernel exp(-||x - y||^2 / 2 h^2), h the reference's median distance."""
    x, y = generated.double(), reference.double()
    n, m = x.shape[-2], y.shape[-2]
    among = torch.cdist(y, y)
    upper = torch.ones(m, m, dtype=torch.bool).triu(1)
    scale = 2 * among[..., upper].median(-1).values.square()[..., None, None]
    kernel = lambda distances: (-distances.square() / scale).exp()  # noqa: E731
    one, other = kernel(torch.cdist(x, x)).sum((-2, -1)) - n, kernel(among).sum((-2, -1)) - m  # k(x, x) = 1
    return one / (n * (n - 1)) + other / (m * (m - 1)) - 2 * kernel(torch.cdist(x, y)).mean((-2, -1))


def _transport(order: Order) -> Measure:
    def distances(generated: Tensor, reference: Tensor) -> Tensor:
        pairs = zip(generated, reference, strict=True)
        return torch.tensor([wasserstein(x, y, order=order) for x, y in pairs], dtype=torch.float64)

    return distances


MEASURES: dict[str, Measure] = {
    "jsd": neighbour_jensen_shannon,
    "kl": lambda generated, reference: neighbour_kullback_leibler(reference, generated),
    "reverse-kl": neighbour_kullback_leibler,
    "w1": _transport(1),
    "w2": _transport(2),
    "frechet": frechet,
    "mmd": squared_mmd,
}
"""With p the data and q the generator's: kl is KL(p || q), reverse-kl is KL(q || p)."""

IN_FEATURES = ("w1", "w2", "frechet", "mmd")
"""Those that mean something in the features of images, where no density exists."""

DISTANCES = 4_000_000
"""Entries of a matrix of distances that are held at once."""


def in_parts(measure: Measure, generated: Tensor, reference: Tensor) -> Tensor:
    """``measure`` of many pairs, as many at a time as memory allows."""
    size = max(1, DISTANCES // (max(generated.shape[-2], reference.shape[-2]) ** 2))
    pairs = zip(generated.split(size), reference.split(size), strict=True)
    return torch.cat([measure(x, y) for x, y in pairs])
