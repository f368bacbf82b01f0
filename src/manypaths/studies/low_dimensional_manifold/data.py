"""Gaussian data on a low-dimensional subspace, x = A z, and how far a generator's distribution is from theirs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from manypaths import fields
from manypaths.populations.population import Population
from manypaths.randomness import generator_for
from manypaths.sources.base import FunctionSource
from manypaths.sources.gan_sample import GanSample

PARTS, PART = 5, 400
"""A model is measured on PARTS disjoint samples of this size each, from latents that are the same at every mark."""
FARTHEST = 1e4
"""A model that is farther than this from the data, or no longer finite, counts as this far."""


@dataclass(frozen=True)
class Manifold:
    """x = A z with z ~ N(0, I_k) and a random (d, k) matrix A: normal entries, scaled to ||A||_F^2 = d.

    So the total variance of the data is d, one per coordinate in the mean.
    """

    d: fields.PositiveInt
    k: fields.PositiveInt
    seed: int = 0

    def __post_init__(self) -> None:
        fields.check(self)

    @cached_property
    def factor(self) -> Tensor:
        """A, in float64."""
        entries = torch.randn(self.d, self.k, generator=generator_for(self.seed, "manifold"), dtype=torch.float64)
        return entries * (math.sqrt(self.d) / entries.norm())

    def source(self) -> FunctionSource:
        """Fresh data and fresh latents of the generator for every batch, in torch's default precision."""
        factor = self.factor.to(torch.get_default_dtype())

        def draw(n: int, generator: torch.Generator) -> GanSample:
            inner, latent = torch.randn(2, n, self.k, generator=generator)
            return GanSample(inner @ factor.T, latent, torch.randint(1 << 62, (n,), generator=generator))

        return FunctionSource(draw, seed=self.seed)

    def frechet(self, samples: Tensor) -> Tensor:
        """The Frechet distance of N(0, AA') and the Gaussian with the moments of samples (..., n, d), over tr AA'.

            (||m||^2 + tr C + tr AA' - 2 tr (A'CA)^{1/2}) / tr AA',

        for AA'C and A'CA have the same eigenvalues but for zeros (Dowson and Landau 1982). The last trace is the sum
        of the singular values of (X - m) A / (n - 1)^{1/2}, so no square root of a nearly singular matrix is taken.
        """
        mean = samples.mean(-2)
        centred = (samples - mean.unsqueeze(-2)) / math.sqrt(samples.shape[-2] - 1)
        overlap = torch.linalg.svdvals(centred @ self.factor).sum(-1)
        total = self.factor.square().sum()
        return (mean.square().sum(-1) + centred.square().sum((-2, -1)) + total - 2 * overlap) / total

    def spectrum(self, samples: Tensor) -> Tensor:
        """The k largest eigenvalues of the samples' covariance and the sum of the others, over tr AA', (k + 1,)."""
        values = torch.linalg.eigvalsh(torch.cov(samples.T)).flip(0) / self.factor.square().sum()
        return torch.cat([values[: self.k], values[self.k :].sum(0, keepdim=True)])

    def own_spectrum(self) -> Tensor:
        """What ``spectrum`` is of the data themselves."""
        values = torch.linalg.svdvals(self.factor).square() / self.factor.square().sum()
        return torch.cat([values, values.new_zeros(1)])


class Course:
    """The distances of a population's members to their data, mark after mark.

    A *rise* is one that all PARTS samples of a model show. Between two models of the same distribution each sample
    rises or falls with even chances of its own, so they agree on a rise once in 2^PARTS = 32 times: the noise floor,
    whatever the model's distance and the sample's size. Equal models are no rise at all.
    """

    def __init__(self, population: Population, manifolds: Sequence[Manifold]):
        self.population, self.manifolds = population, manifolds
        generator = generator_for(0, "manifold", "bank")
        self.bank = torch.randn(PARTS * PART, manifolds[0].k, generator=generator)
        self.steps: list[int] = []
        self._distances: list[list[float]] = []
        self._rises: list[list[float]] = []
        self._parts: list[Tensor] = []

    def mark(self, step: int) -> None:
        """Measure every member."""
        distances, parts = [], []
        for i, manifold in enumerate(self.manifolds):
            samples = self.samples(i)
            finite = bool(samples.isfinite().all())
            split = samples.view(PARTS, PART, -1)
            distances.append(min(float(manifold.frechet(samples)), FARTHEST) if finite else FARTHEST)
            parts.append(manifold.frechet(split) if finite else torch.full((PARTS,), FARTHEST, dtype=torch.float64))
        rises = [agree(old, new) for old, new in zip(self._parts, parts, strict=True)] if self.steps else None
        self.steps.append(step)
        self._distances.append(distances)
        self._rises.append(rises or [math.nan] * len(parts))
        self._parts = parts

    @torch.no_grad()
    def samples(self, i: int) -> Tensor:
        """What member i makes of the bank, in float64."""
        with self.population.member(i) as game:
            return game.players["generator"](self.bank).double()

    def columns(self) -> dict[str, list[float]]:
        """One row per mark and member, all members of a mark together."""
        members = len(self.manifolds)
        return {
            "step": [float(step) for step in self.steps for _ in range(members)],
            "frechet": [value for row in self._distances for value in row],
            "rise": [value for row in self._rises for value in row],
        }


def agree(old: Tensor, new: Tensor) -> float:
    """1 where every part has risen."""
    return float((new > old).all())
