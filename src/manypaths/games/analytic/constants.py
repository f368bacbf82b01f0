"""The constants on which rates depend, exactly, for fields that are linear."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Constants:
    """What the complexity of solving F = 1/n sum_i F_i depends on (mu, L and l of the SVRE paper).

    Attributes:
        mu: strong monotonicity of F, the largest with <F(w) - F(v), w - v> >= mu ||w - v||^2; negative where F is not
            monotone.
        lipschitz: L of the full field F.
        mean_lipschitz: L, the mean over the component functions of their Lipschitz constants L_i.
        mean_cocoercivity: l, the mean over the component functions of the smallest l_i with
            ||F_i(w) - F_i(v)||^2 <= l_i <F_i(w) - F_i(v), w - v>; infinite where a component function rotates without
            pulling. L_i <= l_i always, and l_i <= L_i^2 / mu_i where component function i is mu_i-strongly monotone.
    """

    mu: float
    lipschitz: float
    mean_lipschitz: float
    mean_cocoercivity: float


def linear_constants(components: Tensor, mean: Tensor | None = None) -> Constants:
    """The constants of F_i(w) = M_i w + b_i from all M_i, (n, D, D), and their mean."""
    mean = components.mean(0) if mean is None else mean
    return Constants(
        mu=strong_monotonicity(mean),
        lipschitz=float(torch.linalg.matrix_norm(mean, 2)),
        mean_lipschitz=float(torch.linalg.matrix_norm(components, 2).mean()),
        mean_cocoercivity=float(cocoercivity(components).mean()),
    )


def strong_monotonicity(matrix: Tensor) -> float:
    """The largest mu with <Mx, x> >= mu ||x||^2: the smallest eigenvalue of the symmetric part of M, (D, D)."""
    return float(torch.linalg.eigvalsh(matrix + matrix.mT)[0]) / 2


def cocoercivity(matrices: Tensor) -> Tensor:
    """The smallest l with ||Mx||^2 <= l <Mx, x> for all x, for each M of (..., D, D).

    The largest eigenvalue of M'M against the symmetric part S of M, computed in the eigenbasis of S. Infinite where
    S has a negative eigenvalue, or where some x with Sx = 0 has Mx != 0 (a pure rotation).
    """
    curvature, basis = torch.linalg.eigh((matrices + matrices.mT) / 2)
    images = matrices @ basis
    rounding = 100 * matrices.shape[-1] * torch.finfo(matrices.dtype).eps
    tolerance = rounding * torch.linalg.matrix_norm(matrices, 2)[..., None]
    null = curvature <= tolerance
    bad = (curvature < -tolerance) | (null & (torch.linalg.vector_norm(images, dim=-2) > tolerance))
    scaled = images * torch.where(null, 0.0, curvature.clamp(min=0).rsqrt())[..., None, :]
    found = torch.linalg.matrix_norm(scaled, 2).square()
    return torch.where(bad.any(-1), math.inf, found)
