"""The game of SVRE's noise experiments, a pair of coordinates per component, and its minimisation counterpart."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from manypaths import fields
from manypaths.fields import check_arguments
from manypaths.games.analytic.base import AnalyticGame
from manypaths.games.analytic.constants import Constants
from manypaths.randomness import generator_for


class Coordinatewise(AnalyticGame):
    """min_x max_y 1/n sum_i (x_i y_i + a_i'x + b_i'y): component function i sees one pair of coordinates and pushes all
    of them.

    The bilinear game with A_i = e_i e_i' and n = d, the one of SVRE's Figure 4. In general component function i's field
    is

        (c x_i + s y_i) e_i + a_i  for x,   (c y_i - s x_i) e_i - b_i  for y,

    with (c, s) = (cos, sin) of ``rotation`` quarter turns. ``rotation=0`` is the minimisation shadow copy: both players
    minimise 1/2 x'A_i x under the same noise. Only the 2b numbers that b component functions see are touched beside the
    linear terms, so ``field`` takes O(D b) and ``difference`` O(D) time; no matrix is stored.

    Args:
        n: component functions, and coordinates of each player.
        rotation: from 0 (minimisation) to 1 (the bilinear game).
        noise: a_i, b_i ~ N(0, I / n), else zero: the counterexample on which stochastic extragradient with
            independent samples diverges at every step size (SVRE, section 2).
        seed: of the linear terms and of the start, N(0, I / n).
    """

    def __init__(
        self,
        n: fields.PositiveInt,
        *,
        rotation: Annotated[float, fields.Bound(at_least=0, at_most=1)] = 1.0,
        noise: bool = True,
        seed: int = 0,
    ):
        check_arguments(Coordinatewise, locals())
        generator = generator_for(seed, "bilinear.coordinatewise")
        draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64) / n**0.5  # noqa: E731
        terms = (draw(n, n), -draw(n, n)) if noise else torch.zeros(2, n, n, dtype=torch.float64)
        self.offsets = torch.cat([*terms], dim=1)
        start = draw(2 * n)
        super().__init__({"x": start[:n], "y": start[n:]})
        self.size = n
        self.offset = self.offsets.mean(0)
        # sines of complementary angles: exactly (0, 1) and (1, 0) at the ends, which cos(pi / 2) is not
        self._c, self._s = math.sin(math.pi / 2 * (1 - rotation)), math.sin(math.pi / 2 * rotation)
        self.turn = start.new_tensor([[self._c, self._s], [-self._s, self._c]])

    def field(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        if index is None:
            return self._turned(w) / self.size + self.offset
        pairs = self._pairs(index)
        return self._add_seen(self._offsets_of(index), pairs, w.gather(-1, pairs))

    def difference(self, w: Tensor, v: Tensor, index: Tensor) -> Tensor:
        pairs = self._pairs(index)
        return self._add_seen(torch.zeros_like(w), pairs, w.gather(-1, pairs) - v.gather(-1, pairs))

    def values(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        seen, offset = w, self.offset
        if index is not None:
            seen, offset = w.gather(-1, self._pairs(index)), self._offsets_of(index)
        x, y = seen.chunk(2, -1)
        own = torch.stack([x * (0.5 * self._c * x + self._s * y), y * (0.5 * self._c * y - self._s * x)], -2).mean(-1)
        return own + (w * offset).unflatten(-1, (2, self.size)).sum(-1)

    def jacobian(self, w: Tensor | None = None, index: Tensor | None = None) -> Tensor:
        share = self.offset.new_full((self.size,), 1 / self.size)
        if index is not None:
            share = share.new_zeros(*index.shape[:-1], self.size)
            share = share.scatter_add(-1, index, share.new_full(index.shape, 1 / index.shape[-1]))
        pull, turn = torch.diag_embed(self._c * share), torch.diag_embed(self._s * share)
        matrix = torch.cat([torch.cat([pull, turn], -1), torch.cat([-turn, pull], -1)], -2)
        return matrix if w is None else matrix.expand(*w.shape[:-1], *matrix.shape[-2:])

    def solution(self) -> Tensor:
        x, y = self.offset.chunk(2)
        return -self.size * torch.cat([self._c * x - self._s * y, self._s * x + self._c * y])

    def constants(self) -> Constants:
        cocoercivity = 1 / self._c if self._c else math.inf
        return Constants(self._c / self.size, 1 / self.size, 1.0, cocoercivity)

    def _pairs(self, index: Tensor) -> Tensor:
        """Where the coordinates of the component functions stand in the joint vector, x before y, (..., 2b)."""
        return torch.cat([index, index + self.size], -1)

    def _turned(self, pairs: Tensor) -> Tensor:
        """(c x + s y, c y - s x) of (x, y)."""
        x, y = pairs.chunk(2, -1)
        return torch.cat([self._c * x + self._s * y, self._c * y - self._s * x], -1)

    def _offsets_of(self, index: Tensor) -> Tensor:
        """The mean linear terms of the component functions, gathered and averaged in one pass, (..., 2n)."""
        bags = embedding_bag(index.reshape(-1, index.shape[-1]), self.offsets, mode="mean")
        return bags.view(*index.shape[:-1], -1)

    def _add_seen(self, total: Tensor, pairs: Tensor, seen: Tensor) -> Tensor:
        """Add the field without its linear terms: zero but for the components' own pairs of coordinates."""
        return total.scatter_add_(-1, pairs, self._turned(seen) / (pairs.shape[-1] // 2))
