"""Spread of repeated gradient estimates at one point."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from manypaths.vectors import add_, present, squared_norm


class Spread:
    """E ||d||^2, ||E d||^2 and tr Cov(d) of a stream of draws of one player's estimate d.

    The trace is the unbiased (n - 1) one; vectors are accumulated in their own precision around the first draw, which
    keeps small variances exact, norms in float64.
    """

    def __init__(self) -> None:
        self.n, self._squares, self._about_first = 0, 0.0, 0.0
        self._first: list[Tensor | None] = []
        self._sum: list[Tensor | None] = []

    def add(self, draw: Sequence[Tensor | None]) -> None:
        vector: list[Tensor | None] = [t.clone() for t in present(draw)]
        self._squares += squared_norm(vector)
        if not self.n:
            self._first, self._sum = vector, [torch.zeros_like(t) for t in present(vector)]
        else:
            add_(vector, self._first, -1.0)
            self._about_first += squared_norm(vector)
            add_(self._sum, vector)
        self.n += 1

    @property
    def second_moment(self) -> float:
        """E ||d||^2, the SME of the SVRE paper."""
        return self._squares / self.n

    @property
    def variance(self) -> float:
        """tr Cov(d)."""
        return max(0.0, (self._about_first - squared_norm(self._sum) / self.n) / (self.n - 1))

    @property
    def squared_mean(self) -> float:
        """||E d||^2, unbiased: the second moment less the variance."""
        return self.second_moment - self.variance


def variance_ratio(reduced: Spread, plain: Spread) -> float:
    """Var(reduced) / Var(plain); 0 / 0 is 0 (at the snapshot) and x / 0 infinite."""
    if plain.variance == 0.0:
        return 0.0 if reduced.variance == 0.0 else math.inf
    return reduced.variance / plain.variance
