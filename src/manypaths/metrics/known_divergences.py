"""Divergences of distributions whose densities are known: closed forms for Gaussians, else quadrature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from manypaths.metrics.gaussians import Gaussian, gaussian_kullback_leibler, squared_bures
from manypaths.metrics.quadrature import Grid, LogDensity, log_mass_kullback_leibler
from manypaths.objectives import divergences
from manypaths.objectives.base import Objective

Known = Gaussian | LogDensity
How = Literal["closed form", "quadrature", "samples", "given"]


def closed_forms(model: Gaussian, data: Gaussian) -> dict[str, Tensor]:
    """Transport and, where both have densities, both KL; (m,) each."""
    squared = torch.atleast_1d(squared_bures(model, data))
    found = {"w2": squared.sqrt(), "frechet": squared}
    if all(_has_density(g) for g in (model, data)):
        found["kl"] = torch.atleast_1d(gaussian_kullback_leibler(data, model))
        found["reverse-kl"] = torch.atleast_1d(gaussian_kullback_leibler(model, data))
    return found


def integrals(model: Known, data: Known, grid: Grid, objective: Objective | None = None) -> dict[str, Tensor]:
    """Both KL, the JSD, on the line W_1, and the objective's own divergence; (m,) each."""
    log_q, log_p = (grid.log_masses(k.log_density if isinstance(k, Gaussian) else k) for k in (model, data))
    log_q, log_p = torch.broadcast_tensors(log_q, log_p)
    p, q, line = log_p.exp(), log_q.exp(), grid.line
    found = {
        "kl": log_mass_kullback_leibler(log_p, log_q),
        "reverse-kl": log_mass_kullback_leibler(log_q, log_p),
        "jsd": _each(divergences.jensen_shannon, p, q),
    }
    if line is not None:
        found["w1"] = _each(lambda p, q: divergences.wasserstein(p, q, line), p, q)
    if objective is not None:
        found["objective"] = _each(lambda p, q: objective.divergence(p, q, line), p, q)
    return found


def known_divergences(
    model: Known, data: Known, grid: Grid | None, objective: Objective | None
) -> dict[str, tuple[Tensor, How]]:
    """Everything that is known exactly, with how; a closed form goes before an integral."""
    found: dict[str, tuple[Tensor, How]] = {}
    if grid is not None:
        found |= {name: (value, "quadrature") for name, value in integrals(model, data, grid, objective).items()}
    if isinstance(model, Gaussian) and isinstance(data, Gaussian):
        found |= {name: (value, "closed form") for name, value in closed_forms(model, data).items()}
    return found


def _each(divergence: Callable[[Tensor, Tensor], Tensor], p: Tensor, q: Tensor) -> Tensor:
    return torch.stack([divergence(one, other) for one, other in zip(p, q, strict=True)])


def _has_density(gaussian: Gaussian) -> bool:
    return not bool(torch.linalg.cholesky_ex(gaussian.covariance).info.any())
