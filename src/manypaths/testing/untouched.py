"""A game and its source as they were, after whatever was tried on them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from manypaths.games.base import Game
from manypaths.games.noise import seeded
from manypaths.sources.base import Source
from manypaths.vectors import copy_


@contextlib.contextmanager
def untouched(game: Game, source: Source) -> Iterator[None]:
    """Inside, everything may move; afterwards all of it is back.

    Weights and what stands in ``p.grad``, buffers, the source (what it decided about its latents included), torch's
    global random numbers and what an oracle finds out about the coupling of samples. Two measurements that are each
    inside one of these do not see each other.
    """
    point, buffers = game.point(), [b.clone() for b in game.buffers()]
    parameters = [p for name in game.players for p in game.parameters(name)]
    gradients, coupled = [p.grad for p in parameters], game.couples_samples
    decided = {name: value for name, value in vars(source).items() if name in ("latents", "size")}
    try:
        with source.rewound(), seeded(torch.initial_seed() & ((1 << 62) - 1), game.device):
            yield
    finally:
        game.move_to(point)
        copy_(game.buffers(), buffers)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        game.couples_samples = coupled
        vars(source).update(decided)
