"""How much each player could still gain on its own: the local duality gap."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from manypaths import fields
from manypaths.fields import check_arguments
from manypaths.games.base import Game
from manypaths.vectors import lerp_, squared_norm

Optimiser = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
ADAM: Optimiser = partial(torch.optim.Adam, lr=1e-3)


@dataclass(frozen=True)
class DualityGap:
    """The gains of the players, each against the others' present weights.

    Attributes:
        gap: their sum, in units of loss; zero at a (local) Nash equilibrium.
        gains: L_k(w) - L_k(best answer of k found), for every player.
    """

    gap: float
    gains: dict[str, float]


def duality_gap(
    game: Game,
    sample: Any,
    *,
    steps: fields.PositiveInt = 100,
    radius: fields.Positive | None = None,
    optimiser: Optimiser = ADAM,
    held_out: Any = None,
) -> DualityGap:
    """sum_k [L_k(w) - min_{||v - w_k|| <= radius} L_k(v, w_{-k})], the minimum by ``steps`` steps of an optimiser.

    A player whose weights are confined to a set (``game.projections``) searches inside it.

    For a zero-sum game this is the duality gap of Grnarova et al. (2019), in general the function of Nikaido and Isoda
    (1955); a radius makes it local. The minimum is the best of the losses seen on the way, so the gap is a lower bound
    of the exact one and never negative, unless it is read on a ``held_out`` sample.

    Args:
        sample: on which each player searches its answer, in one batch.
        steps: of the optimiser, from the present weights.
        radius: in units of the weights; an iterate that leaves the ball is drawn back to its surface. ``None``: none.
        optimiser: makes a new one from a player's parameters.
        held_out: on which the gains are read; ``sample`` by default. A gain that is memory of the sample is not seen
            here.

    Weights, gradients and buffers come back, and no oracle counts it.
    """
    check_arguments(duality_gap, locals())
    read = sample if held_out is None else held_out
    gains = {}
    for name in game.players:
        before = float(game.gradients(read, [name]).losses[name])
        with game.at(game.point([name])), _own_gradients(game.parameters(name)):
            _answer(game, sample, name, steps, radius, optimiser(game.parameters(name)))
            gains[name] = before - float(game.gradients(read, [name]).losses[name])
    return DualityGap(sum(gains.values()), gains)


def _answer(
    game: Game, sample: Any, name: str, steps: int, radius: float | None, optimiser: torch.optim.Optimizer
) -> None:
    """Move a player to the best of the points that its optimiser visits."""
    parameters, centre = game.parameters(name), game.point([name])
    best, answer = math.inf, centre
    for step in range(steps + 1):
        found = game.gradients(sample, [name])
        if float(found.losses[name]) < best:
            best, answer = float(found.losses[name]), game.point([name])
        if step < steps:
            for p, gradient in zip(parameters, found[name], strict=True):
                p.grad = gradient
            optimiser.step()
            game.project([name])
            _draw_back(parameters, centre[name], radius)
    game.move_to(answer)


@contextlib.contextmanager
def _own_gradients(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Whatever stood in ``p.grad`` comes back."""
    kept = [p.grad for p in parameters]
    try:
        yield
    finally:
        for p, gradient in zip(parameters, kept, strict=True):
            p.grad = gradient


def _draw_back(parameters: list[nn.Parameter], centre: list[Tensor], radius: float | None) -> None:
    """To the nearest point of the ball, which is on the way to its centre: a convex set is not left."""
    if radius is None:
        return
    length = squared_norm(p.detach() - c for p, c in zip(parameters, centre, strict=True)) ** 0.5
    if length > radius:
        lerp_(parameters, centre, 1 - radius / length)
