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

FEW = 2
_STEP = 1e-2
"""Of the central difference, relative to the weights."""


def expect_mixed_derivatives(game: Game, source: Source, batch: int, owner: str) -> None:
    """Refuse a game that detaches what ``owner`` differentiates: it would play another game without a word.

    A ``detach()`` or ``no_grad()`` on the fakes makes the derivative of a player's gradient by the others' weights zero
    for autograd. Where it is, a central difference along a random direction tells whether it is zero in truth. (That
    the two are equal cannot be asked: units of a ReLU that switch on the way are in the difference alone.)
    """
    game = game.unwrapped
    if isinstance(game, AnalyticGame) or len(game.players) < 2:
        return
    sample = first_sample(source, batch, at_most=FEW)
    for name in game.players:
        try:
            lost = not _seen_by_autograd(game, sample, name) and _depends(game, sample, name)
        except RuntimeError:
            continue  # what has no second derivative says so in the first step
        if lost:
            others = " and ".join(other for other in game.players if other != name)
            raise InvalidValue(
                f"{owner} differentiates the gradient of {name} by the weights of {others}, and autograd sees nothing "
                f"of what finite differences give: expected a loss of {name} without detach() or no_grad() on what "
                f"{others} made (every player's gradient is taken for its own weights alone)"
            )


def _seen_by_autograd(game: Game, sample: object, name: str) -> bool:
    """Whether the product of a random vector with J, the Jacobian of F_name in the others' weights, is not zero."""
    draw = generator_for(0, "mixed derivatives", name)
    vector: dict[str, list[Tensor | None]] = {other: [None] * len(game.parameters(other)) for other in game.players}
    vector[name] = [torch.randn(w.shape, generator=draw).to(w) for w in game.parameters(name)]
    back = jacobian_products(game, sample, Gradients(vector, {}), forward=False).transposed
    return any(bool(t.any()) for other in game.players if other != name for t in present(back[other]))


def _depends(game: Game, sample: object, name: str) -> bool:
    """Whether F_name changes where all other players move."""
    draw = generator_for(0, "mixed derivatives", name)
    point = game.point([other for other in game.players if other != name])
    direction = {other: [_random(w, draw) for w in weights] for other, weights in point.items()}
    ends = []
    for sign in (1.0, -1.0):
        moved = {o: [w + sign * _STEP * d for w, d in zip(point[o], direction[o], strict=True)] for o in point}
        with game.at(moved), game.repeating(sample):
            ends.append(game.evaluation(sample, (name,), False)[name])
    pairs = [(up, down) for up, down in zip(*ends, strict=True) if up is not None and down is not None]
    return _norm([(up - down) / (2 * _STEP) for up, down in pairs]) > 1e-3 * _norm(ends[0])


def _random(weight: Tensor, draw: torch.Generator) -> Tensor:
    scale = weight.abs().mean().clamp_min(1e-3)
    return scale * torch.randn(weight.shape, generator=draw).to(weight)


def _norm(tensors: list[Tensor | None]) -> float:
    return float(sum(t.double().square().sum() for t in present(tensors))) ** 0.5
