"""Two segments and what is known exactly of the distance between them: plain, and smoothed by N(0, s^2 I).

The data are x = z u with z ~ U[-1, 1] and u the unit vector of axis 1; a model is G(z) = z a + b, so it is a segment
too: parallel and displaced at the start, where a = u and b = delta e_0.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.special import log_ndtr

NODES = (16, 8, 8, 6)
"""Of the Gauss rules: along a segment, and in each direction of the noise (the third one only where d > 2)."""
FINE_NODES = (8, 96, 8)
"""Of the plane, fine enough for the gradient where it is exponentially small."""


def start(members: int, d: int, displacement: float) -> tuple[Tensor, Tensor]:
    """The parallel displaced segment, a and b of shape (m, d)."""
    a, b = torch.zeros(2, members, d, dtype=torch.float64)
    a[:, 1], b[:, 0] = 1.0, displacement
    return a, b


def squared_wasserstein(a: Tensor, b: Tensor) -> Tensor:
    """W_2^2 of data and model, (m,): ||b||^2 + (1 + ||a||^2 - 2 |a . u|) / 3.

    Also the Frechet distance: two affine images of one symmetric law are as far apart as Gaussians of their moments,
    since E (z u)(z' a) over all couplings is at most |a . u| E z^2, which z' = z or z' = -z attains.
    """
    return b.square().sum(-1) + (1 + a.square().sum(-1) - 2 * a[:, 1].abs()) / 3


def jensen_shannon(a: Tensor, b: Tensor) -> Tensor:
    """The exact JSD, (m,): log 2 unless the segments lie on one line, where it is that of two uniform laws."""
    off_line = torch.cat([a[:, :1], a[:, 2:], b[:, :1], b[:, 2:]], -1).abs().amax(-1) > 0
    half, middle = a[:, 1].abs(), b[:, 1]
    overlap = (torch.minimum(middle + half, torch.ones(())) - torch.maximum(middle - half, -torch.ones(()))).clamp(
        min=0
    )
    p, q = torch.full_like(half, 0.5), 1 / (2 * half)
    inside = overlap * (p * torch.log(2 * p / (p + q)) + q * torch.log(2 * q / (p + q))) / 2
    rest = (1 - overlap * p + 1 - overlap * q) * math.log(2) / 2
    return torch.where(off_line, math.log(2), inside + rest)


def largest_slope(a: Tensor, b: Tensor, *, generator: torch.Generator, h: float = 1e-4, directions: int = 8) -> Tensor:
    """The largest central difference of the exact JSD over random unit directions of (a, b), (m,)."""
    found = []
    for _ in range(directions):
        step = torch.randn(2, *a.shape, generator=generator, dtype=torch.float64)
        step = h * step / step.square().sum((0, -1), keepdim=True).sqrt()
        ends = jensen_shannon(a + step[0], b + step[1]), jensen_shannon(a - step[0], b - step[1])
        found.append((ends[0] - ends[1]).abs() / (2 * h))
    return torch.stack(found).amax(0)


def smoothed(a: Tensor, b: Tensor, s: float, *, nodes: tuple[int, ...] = NODES) -> dict[str, Tensor]:
    """KL(p || q), KL(q || p) and the JSD of both segments under noise N(0, s^2 I), (m,) each; by Gauss's rules.

    In d dimensions too: outside the space of u, a and b, of three dimensions at most, both are the same noise.
    Differentiable in a and b where d = 2.
    """
    a, b = _turned(a, b) if a.shape[-1] > 2 else (a, b)
    z, eps, weights = _nodes(nodes[: 1 + a.shape[-1]])
    data, model = torch.zeros_like(a), a
    data[:, 1] = 1.0
    p_points = z[:, None] * data[:, None] + s * eps
    q_points = z[:, None] * model[:, None] + b[:, None] + s * eps
    at_data, at_model = (
        log_smoothed(x, model, b, s) - log_smoothed(x, data, torch.zeros_like(b), s) for x in (p_points, q_points)
    )
    return {
        "kl": -(weights * at_data).sum(-1),
        "reverse-kl": (weights * at_model).sum(-1),
        "jsd": math.log(2) - (weights * (softplus(at_data) + softplus(-at_model))).sum(-1) / 2,
    }


def log_smoothed(x: Tensor, a: Tensor, b: Tensor, s: float) -> Tensor:
    """log density at x (m, K, d) of z a + b + N(0, s^2 I), (m, K), up to the noise's constant across."""
    half = a.square().sum(-1, keepdim=True).clamp(min=1e-12).sqrt()
    gaps = x - b[:, None]
    along = (gaps * (a / half)[:, None]).sum(-1)
    across = (gaps.square().sum(-1) - along.square()).clamp(min=0)
    high, low = (half - along.abs()) / s, (-half - along.abs()) / s
    mass = log_ndtr(high) + torch.log(-torch.expm1(log_ndtr(low) - log_ndtr(high)))
    return mass - torch.log(2 * half) - across / (2 * s**2)


def jsd_slope(displacement: float, s: float, cells: int = 8000) -> float:
    """|d JSD / d delta| of N(0, s^2) and N(delta, s^2): of parallel segments smoothed by s, whatever their length.

    1/2 integral of dq/ddelta log(2 q / (p + q)), by the trapezoid rule, with p and q in the form of their logarithms:
    right in its relative digits where it is as small as exp(-delta^2 / 8 s^2).
    """
    x = torch.linspace(-12 * s, displacement + 12 * s, cells, dtype=torch.float64)
    q = torch.exp(-((x - displacement) ** 2) / (2 * s**2)) / (s * math.sqrt(2 * math.pi))
    log_ratio = displacement * (displacement / 2 - x) / s**2  # log p / q
    integrand = q * (x - displacement) / s**2 * -softplus(log_ratio) / 2
    return abs(float(torch.trapezoid(integrand, x)))


def slope_limit(displacement: float, s: float) -> float:
    """sqrt(pi / 8) / s exp(-delta^2 / 8 s^2), which ``jsd_slope`` tends to where s / delta is small."""
    return math.sqrt(math.pi / 8) / s * math.exp(-(displacement**2) / (8 * s**2))


@cache
def _nodes(counts: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """z (K,), noise (K, d) and weights (K,) that sum to 1."""
    rules = [np.polynomial.legendre.leggauss(counts[0])]
    rules += [np.polynomial.hermite_e.hermegauss(count) for count in counts[1:]]
    places = torch.meshgrid(*(torch.from_numpy(x) for x, _ in rules), indexing="ij")
    weights = torch.ones((), dtype=torch.float64)
    for _, w in rules:
        weights = weights.unsqueeze(-1) * torch.from_numpy(w / w.sum())
    return places[0].flatten(), torch.stack(places[1:], -1).flatten(0, -2), weights.flatten()


def _turned(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The same pair of segments in three dimensions: b on axis 0 but for its part along u, a in all three."""
    aside_a, aside_b = (torch.cat([v[:, :1], v[:, 2:]], -1) for v in (a, b))
    length = aside_b.square().sum(-1).sqrt()
    first = aside_b / length.clamp(min=1e-300)[:, None]
    along = (aside_a * first).sum(-1)
    rest = (aside_a - along[:, None] * first).square().sum(-1).sqrt()
    return torch.stack([along, a[:, 1], rest], -1), torch.stack([length, b[:, 1], torch.zeros_like(length)], -1)
