"""Two Gaussians, compared in closed form, any number of pairs at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from manypaths.errors import InvalidValue


@dataclass(frozen=True)
class Gaussian:
    """N(mean, covariance), in float64; leading dimensions are members.

    Attributes:
        mean: (..., d).
        covariance: (..., d, d), symmetric; may be singular where only transport is asked for.
    """

    mean: Tensor
    covariance: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", self.mean.double())
        object.__setattr__(self, "covariance", self.covariance.double())
        if self.covariance.shape != (*self.mean.shape, self.mean.shape[-1]):
            raise InvalidValue(
                f"the covariance has shape {tuple(self.covariance.shape)} and the mean {tuple(self.mean.shape)}: "
                "expected (..., d, d) and (..., d)"
            )

    @classmethod
    def fitted(cls, points: Tensor) -> Gaussian:
        """To the mean and the unbiased covariance of points (..., N, d)."""
        points = points.double()
        mean = points.mean(-2, keepdim=True)
        centred = points - mean
        return cls(mean.squeeze(-2), centred.mT @ centred / (points.shape[-2] - 1))

    def log_density(self, points: Tensor) -> Tensor:
        """log p at points (K, d), (..., K); the covariance is positive definite."""
        factor, log_determinant = _cholesky(self.covariance)
        gaps = points.double() - self.mean.unsqueeze(-2)
        scaled = torch.linalg.solve_triangular(factor, gaps.mT, upper=False)
        d = self.mean.shape[-1]
        return -(scaled.square().sum(-2) + d * math.log(2 * math.pi) + log_determinant.unsqueeze(-1)) / 2


def squared_bures(one: Gaussian, other: Gaussian) -> Tensor:
    """W_2^2 = ||m_1 - m_2||^2 + tr(C_1 + C_2 - 2 (C_1^{1/2} C_2 C_1^{1/2})^{1/2}), (...); singular C are fine.

    Of two Gaussians it is the squared Wasserstein distance (Dowson and Landau 1982), of the fits of two samples the
    Frechet distance, and of any two distributions with these moments a lower bound of W_2^2 (Gelbrich 1990).
    """
    values, vectors = torch.linalg.eigh(one.covariance)
    root = (vectors * values.clamp(min=0).sqrt().unsqueeze(-2)) @ vectors.mT
    cross = torch.linalg.eigvalsh(root @ other.covariance @ root).clamp(min=0).sqrt().sum(-1)
    traces = sum(g.covariance.diagonal(dim1=-2, dim2=-1).sum(-1) for g in (one, other))
    return ((one.mean - other.mean).square().sum(-1) + traces - 2 * cross).clamp(min=0)


def gaussian_kullback_leibler(one: Gaussian, other: Gaussian) -> Tensor:
    """KL(one || other) = 1/2 [tr(C_2^-1 C_1) + m' C_2^-1 m - d + log det C_2 / det C_1], m = m_1 - m_2; nats, (...)."""
    (_, log_one), (factor, log_other) = _cholesky(one.covariance), _cholesky(other.covariance)
    inverse = torch.cholesky_inverse(factor)
    gap = (one.mean - other.mean).unsqueeze(-1)
    distance = (gap.mT @ inverse @ gap)[..., 0, 0]
    trace = (inverse * one.covariance.mT).sum((-2, -1))
    return (trace + distance - one.mean.shape[-1] + log_other - log_one) / 2


def _cholesky(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The lower factor and log det."""
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed.any():
        raise InvalidValue("a covariance is singular, so there is no density: expected a positive definite one")
    return factor, 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
