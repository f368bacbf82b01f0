"""Least squares against an adversary who moves the labels."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.fields import check_arguments, conform
from manypaths.games.analytic.base import AnalyticGame
from manypaths.games.analytic.constants import Constants, cocoercivity
from manypaths.randomness import generator_for

Robustness = Annotated[float, fields.Bound(above=1)]


class RobustLeastSquares(AnalyticGame):
    """min_x max_y 1/n sum_i [1/2 (a_i'x - b_i - y_i)^2 - rho/2 y_i^2], strongly concave in y for rho > 1.

    Component i sees x and its own y_i: with the residual r_i = a_i'x - b_i - y_i, F_i = (r_i a_i, (r_i + rho y_i) e_i).
    The solution is the least-squares x* and y* = -(Ax* - b) / (rho - 1).

    Args:
        features: A, (n, d), of full column rank.
        labels: b, (n,).
        robustness: rho, the price of moving a label.
        start: the initial (x, y), (d + n,); zero by default.
    """

    def __init__(self, features: Tensor, labels: Tensor, *, robustness: Robustness = 2.0, start: Tensor | None = None):
        if features.ndim != 2 or labels.shape != features.shape[:1]:
            shapes = f"{tuple(features.shape)} and {tuple(labels.shape)}"
            raise InvalidValue(f"features and labels have shapes {shapes}: expected (n, d) and (n,)")
        self.robustness = conform(robustness, Robustness, "RobustLeastSquares.robustness")
        n, d = features.shape
        start = features.new_zeros(d + n) if start is None else start
        super().__init__({"model": start[:d], "adversary": start[d:]})
        self.features, self.labels, self.size, self.d = features, labels, n, d

    @classmethod
    def synthetic(
        cls,
        n: fields.PositiveInt,
        d: fields.PositiveInt,
        *,
        condition: Annotated[float, fields.Bound(at_least=1)] = 10.0,
        robustness: Robustness = 2.0,
        noise: fields.NonNegative = 1.0,
        seed: int = 0,
    ) -> RobustLeastSquares:
        """b = Ax + noise N(0, I), with x ~ N(0, I) and Gaussian features of different scales.

        Column j of A has standard deviation condition^(-j / (d - 1)).
        """
        check_arguments(RobustLeastSquares.synthetic, locals())
        generator = generator_for(seed, "robust_least_squares", n, d)
        draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
        features = draw(n, d) * condition ** -torch.linspace(0, 1, d, dtype=torch.float64)
        return cls(features, features @ draw(d) + noise * draw(n), robustness=robustness)

    def field(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        if index is None:
            x, y = self._parts(w)
            residual = x @ self.features.mT - self.labels - y
            return torch.cat([residual @ self.features, residual + self.robustness * y], -1) / self.size
        return self._seen(w, index, self.labels[index])

    def difference(self, w: Tensor, v: Tensor, index: Tensor) -> Tensor:
        return self._seen(w - v, index, 0.0)

    def values(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        x, y = self._parts(w)
        if index is None:
            residual = x @ self.features.mT - self.labels - y
        else:
            y = y.gather(-1, index)
            residual = (self.features[index] @ x[..., None])[..., 0] - self.labels[index] - y
        own = residual.square().mean(-1) / 2
        return torch.stack([own, self.robustness / 2 * y.square().mean(-1) - own], -1)

    def jacobian(self, w: Tensor | None = None, index: Tensor | None = None) -> Tensor:
        """The mean over B of [[a a', -a e'], [e a', (rho - 1) e e']], the same at every w."""
        index = torch.arange(self.size, device=self.features.device) if index is None else index
        eye = torch.eye(self.size, dtype=self.features.dtype, device=self.features.device)
        a, e, b = self.features[index], eye[index], index.shape[-1]
        rows = [torch.cat([a.mT @ a, -a.mT @ e], -1), torch.cat([e.mT @ a, (self.robustness - 1) * e.mT @ e], -1)]
        matrix = torch.cat(rows, -2) / b
        return matrix if w is None else matrix.expand(*w.shape[:-1], *matrix.shape[-2:])

    def solution(self) -> Tensor:
        x = torch.linalg.lstsq(self.features, self.labels[:, None], driver="gelsd").solution[:, 0]
        return torch.cat([x, (self.labels - self.features @ x) / (self.robustness - 1)])

    def constants(self) -> Constants:
        """From 2 x 2 blocks: along a_i and e_i for a component, along pairs of singular vectors of A for the mean."""
        components = self._blocks(torch.linalg.vector_norm(self.features, dim=1))
        mean = self._blocks(torch.linalg.svdvals(self.features)) / self.size
        curvature = float(mean.diagonal(dim1=-2, dim2=-1).min())
        idle = (self.robustness - 1) / self.size if self.size > self.d else 0.0  # the y that no x moves
        norms = torch.linalg.matrix_norm(components, 2)
        lipschitz = max(float(torch.linalg.matrix_norm(mean, 2).max()), idle)
        return Constants(curvature, lipschitz, float(norms.mean()), float(cocoercivity(components).mean()))

    def _blocks(self, alpha: Tensor) -> Tensor:
        """[[alpha^2, -alpha], [alpha, rho - 1]], (..., 2, 2)."""
        price = torch.full_like(alpha, self.robustness - 1)
        rows = [torch.stack([alpha.square(), -alpha], -1), torch.stack([alpha, price], -1)]
        return torch.stack(rows, -2)

    def _parts(self, w: Tensor) -> tuple[Tensor, Tensor]:
        return w[..., : self.d], w[..., self.d :]

    def _seen(self, w: Tensor, index: Tensor, labels: Tensor | float) -> Tensor:
        """The field of the component functions, which is zero for every y_i but their own."""
        x, y = self._parts(w)
        a, own = self.features[index], y.gather(-1, index)
        residual = (a @ x[..., None])[..., 0] - labels - own
        push = torch.zeros_like(y).scatter_add_(-1, index, residual + self.robustness * own)
        return torch.cat([(residual[..., None, :] @ a)[..., 0, :], push], -1) / index.shape[-1]
