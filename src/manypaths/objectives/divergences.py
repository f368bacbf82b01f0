"""Divergences of two distributions on common atoms, (K,) masses each; 0 log 0 is 0, and infinity is a value."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.special import xlogy


def kullback_leibler(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) = sum p log(p / q), in nats."""
    return (xlogy(p, p) - xlogy(p, q)).sum()


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """JSD(p, q) = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2; at most log 2."""
    middle = (p + q) / 2
    return (kullback_leibler(p, middle) + kullback_leibler(q, middle)) / 2


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """TV(p, q) = sum |p - q| / 2, at most 1."""
    return (p - q).abs().sum() / 2


def triangular(p: Tensor, q: Tensor) -> Tensor:
    """sum (p - q)^2 / (p + q), the triangular discrimination; at most 2."""
    total = p + q
    return ((p - q).square() / torch.where(total > 0, total, 1.0)).sum()


def wasserstein(p: Tensor, q: Tensor, points: Tensor) -> Tensor:
    """W_1(p, q) on the line: the integral of |P - Q|, the distance of the distribution functions."""
    gaps = (p - q).cumsum(0)[:-1].abs()
    return (gaps * points.diff()).sum()
