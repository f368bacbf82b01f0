"""The size of the field: zero exactly at the stationary points of the game."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from manypaths.games.base import Game
from manypaths.oracles.full_batch import full_gradient
from manypaths.populations.population import Population
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients, squared_norm


def field_norm(game: Game, samples: Sample | Iterable[Sample], players: Iterable[str] | None = None) -> float:
    """||F(w)||_2 over the named players (default: all), in units of loss per weight.

    ``samples`` is one sample, or the chunks of a full pass (``source.all(256)``), whose mean field is meant. Weights,
    buffers and the source stay as they are, and no oracle counts it.
    """
    return (2 * hamiltonian(game, samples, players)) ** 0.5


def hamiltonian(game: Game, samples: Sample | Iterable[Sample], players: Iterable[str] | None = None) -> float:
    """1/2 ||F(w)||_2^2, which consensus optimisation and symplectic adjustment drive to zero; as ``field_norm``."""
    return 0.5 * sum(squared_norm(part) for part in mean_field(game, samples, players).values())


def mean_field(game: Game, samples: Sample | Iterable[Sample], players: Iterable[str] | None = None) -> Gradients:
    """F(w) on one sample or its mean over chunks, each weighted by its length."""
    chunks = [samples] if isinstance(samples, Sample) else samples
    return full_gradient(game, chunks, players, equal=False)[0]


def member_field_norms(population: Population, sample: Sample) -> Tensor:
    """||F(w)||_2 of every member of a population on one sample, (m,), over all players."""
    found = population.gradients(sample)
    squares = [g.double().reshape(len(g), -1).square().sum(1) for part in found.values() for g in part if g is not None]
    return torch.stack(squares).sum(0).sqrt()
