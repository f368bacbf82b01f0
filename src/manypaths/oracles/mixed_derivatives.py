"""Whether autograd sees how one player's gradient depends on the others' weights."""

from __future__ import annotations

import torch
from torch import Tensor

from manypaths.errors import InvalidValue
from manypaths.games.analytic.base import AnalyticGame
from manypaths.games.base import Game
from manypaths.games.first_look import first_sample
from manypaths.oracles.jacobian import jacobian_products
from manypaths.randomness import generator_for
from manypaths.sources.base import Source
from manypaths.vectors import Gradients, present

FEW = 4
NOTHING = 1e-6
"""Autograd may see little of a difference, for units of a ReLU that switch on the way are in the latter alone."""
_STEP = 1e-2
"""Of the central difference, relative to the weights."""


def expect_mixed_derivatives(game: Game, source: Source, batch: int, owner: str) -> None:
    """Refuse a game that detaches what ``owner`` differentiates: it would play another game without a word.

    For every player the derivative of its gradient, along a random direction of all other players' weights, is taken by
    a central difference and by autograd, on a few samples. A ``detach()`` or ``no_grad()`` on the fakes leaves the
    first as it is and makes the second zero.
    """
    game = game.unwrapped
    if isinstance(game, AnalyticGame) or len(game.players) < 2:
        return
    sample = first_sample(source, batch, at_most=FEW)
    for name in game.players:
        try:
            share = _seen_by_autograd(game, sample, name)
        except RuntimeError:
            continue  # what has no second derivative says so in the first step
        if share < NOTHING:
            others = " and ".join(other for other in game.players if other != name)
            raise InvalidValue(
                f"{owner} differentiates the gradient of {name} by the weights of {others}, and autograd sees nothing "
                f"of what finite differences give: expected a loss of {name} without detach() or no_grad() on what "
                f"{others} made (every player's gradient is taken for its own weights alone)"
            )


def _seen_by_autograd(game: Game, sample: object, name: str) -> float:
    """||J d|| of F_name along d by autograd, over the same by differences; 1 where there is next to none."""
    draw = generator_for(0, "mixed derivatives", name)
    point = game.point([other for other in game.players if other != name])
    direction = {other: [_random(w, draw) for w in weights] for other, weights in point.items()}
    ends = []
    for sign in (1.0, -1.0):
        moved = {o: [w + sign * _STEP * d for w, d in zip(point[o], direction[o], strict=True)] for o in point}
        with game.at(moved), game.repeating(sample):
            ends.append(game.evaluation(sample, (name,), False)[name])
    pairs = zip(*ends, strict=True)
    slope = [None if up is None or down is None else (up - down) / (2 * _STEP) for up, down in pairs]
    size, scale = _norm(slope), _norm(ends[0])
    if not size > 1e-3 * scale:
        return 1.0
    along: dict[str, list[Tensor | None]] = {other: [*tensors] for other, tensors in direction.items()}
    along[name] = [None] * len(slope)
    vector = Gradients(along, {})
    return _norm(jacobian_products(game, sample, vector, forward=True).forward[name]) / size


def _random(weight: Tensor, draw: torch.Generator) -> Tensor:
    scale = weight.abs().mean().clamp_min(1e-3)
    return scale * torch.randn(weight.shape, generator=draw).to(weight)


def _norm(tensors: list[Tensor | None]) -> float:
    return float(sum(t.double().square().sum() for t in present(tensors))) ** 0.5
