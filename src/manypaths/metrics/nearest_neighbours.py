"""Divergences of two samples from the distances to their nearest neighbours, any number of pairs at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


def neighbour_kullback_leibler(x: Tensor, y: Tensor, *, neighbours: int = 5) -> Tensor:
    """KL(p || q), estimated from x (..., N, d) of p and y (..., M, d) of q: (...), in nats.

    d/N sum_i log(nu_i / rho_i) + log(M / (N - 1)), with rho_i the distance of x_i to its k-th neighbour in x and nu_i
    to its k-th in y (Perez-Cruz 2008; Wang, Kulkarni and Verdu 2009). Consistent for every k where densities exist; of
    either sign near 0, and biased low by far where the distributions hardly overlap. Where both lie on a surface, d
    should be its dimension. Equal points make it infinite.
    """
    rho, nu = _radii(x, y, neighbours)
    n, m = x.shape[-2], y.shape[-2]
    return x.shape[-1] * (nu.log() - rho.log()).mean(-1) + math.log(m / (n - 1))


def neighbour_jensen_shannon(x: Tensor, y: Tensor, *, neighbours: int | None = None) -> Tensor:
    """JSD(p, q) = log 2 - E_p softplus(log q/p) / 2 - E_q softplus(log p/q) / 2, estimated, (...), in nats.

    The log ratio at a point is that of the two neighbour densities k / (N r^d). It is noisy unless k grows with the
    samples: by default k = sqrt(min(N, M)), with a bias of about -1/(4k) where p = q.
    """
    n, m, d = x.shape[-2], y.shape[-2], x.shape[-1]
    k = neighbours or max(1, math.isqrt(min(n, m)))
    total = x.new_tensor(2 * math.log(2)).double()
    for one, other, own, theirs in ((x, y, n, m), (y, x, m, n)):
        rho, nu = _radii(one, other, k)
        ratio = d * (rho.log() - nu.log()) + math.log((own - 1) / theirs)
        total = total - softplus(ratio).mean(-1)
    return total / 2


def _radii(x: Tensor, y: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The distances of x's points to their k-th neighbours in x (without themselves) and in y, (..., N) each."""
    x, y = x.double(), y.double()
    exact = "donot_use_mm_for_euclid_dist"
    rho = torch.cdist(x, x, compute_mode=exact).kthvalue(k + 1, dim=-1).values
    nu = torch.cdist(x, y, compute_mode=exact).kthvalue(k, dim=-1).values
    return rho, nu
