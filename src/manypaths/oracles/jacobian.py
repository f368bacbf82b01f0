"""Products with the Jacobian J = dF/dw of a game's field, exactly and without forming it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from manypaths.games.base import Game
from manypaths.games.returned import expect_losses
from manypaths.oracles.full_batch import full_gradient
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients, copy_, owned, present

Tensors = list["Tensor | None"]


@dataclass(frozen=True)
class Products:
    """F, J'v and (empty where it was not asked for) Jv, for all players."""

    field: Gradients
    transposed: dict[str, Tensors]
    forward: dict[str, Tensors]


def jacobian_products(
    game: Game, sample: Any, vector: Gradients | None, *, forward: bool, moves_buffers: bool = False
) -> Products:
    """F, J'v and, when ``forward``, Jv on one sample; ``vector=None`` takes v = F of this very sample.

    J'v is one backward pass through the field. Jv is the derivative of J'u with respect to u, along v: reverse mode
    twice, which everything with a double backward has. Where an entry of F or v does not exist, or is a constant, it
    adds nothing.
    """
    names = game.names()
    parameters = [p for name in names for p in game.parameters(name)]
    saved = [] if moves_buffers else [b.clone() for b in game.buffers()]
    with game.differentiated_twice(), game.evaluating(sample):
        losses = expect_losses(game.losses(game.spared(sample), names), names)
        field = [g for name in names for g in _field(losses[name], game.parameters(name))]
        v = [None if g is None else g.detach() for g in field]
        if vector is not None:
            v = [g for name in names for g in vector[name]]
        transposed, ahead = _products(field, parameters, v, forward)
    if saved:
        copy_(game.buffers(), saved)
    value = _by_player(game, field)
    return Products(
        Gradients(value, {name: losses[name].detach() for name in names}),
        _by_player(game, transposed),
        _by_player(game, ahead) if forward else {},
    )


def mean_products(
    game: Game,
    chunks: Iterable[Sample],
    vector: Gradients | None,
    *,
    forward: bool,
    equal: bool = True,
    moves_buffers: bool = False,
) -> Products:
    """The means of F, J'v and Jv over the chunks, in one pass: joined per player, averaged, and parted again."""

    def evaluate(chunk: Sample, names: tuple[str, ...], *, moves_buffers: bool) -> Gradients:
        part = jacobian_products(game, chunk, vector, forward=forward, moves_buffers=moves_buffers)
        joined = {n: [*part.field[n], *part.transposed[n], *part.forward.get(n, [])] for n in names}
        return Gradients(joined, part.field.losses)

    mean, _ = full_gradient(game, chunks, equal=equal, moves_buffers=moves_buffers, evaluate=evaluate)
    n = {name: len(game.parameters(name)) for name in mean}
    field, transposed, ahead = ({name: mean[name][i * n[name] : (i + 1) * n[name]] for name in mean} for i in range(3))
    return Products(Gradients(field, mean.losses), transposed, ahead if forward else {})


def _field(loss: Tensor, parameters: list[nn.Parameter]) -> Tensors:
    if not parameters or not loss.requires_grad:
        return [None] * len(parameters)
    return list(torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True))


def _products(field: Tensors, parameters: list[nn.Parameter], v: Tensors, forward: bool) -> tuple[Tensors, Tensors]:
    rows = [i for i, f in enumerate(field) if f is not None and f.requires_grad]
    outputs = present(field[i] for i in rows)
    back: Tensors = [None] * len(parameters)
    ahead: Tensors = [None] * len(parameters)
    if not rows:
        return back, ahead
    u = [_or_zero(v[i], f).clone().requires_grad_(forward) for i, f in zip(rows, outputs, strict=True)]
    back = list(torch.autograd.grad(outputs, parameters, u, create_graph=forward, allow_unused=True))
    columns = [i for i, b in enumerate(back) if b is not None and b.requires_grad]
    if forward and columns:
        along = [_or_zero(v[i], parameters[i]) for i in columns]
        found = torch.autograd.grad(present(back[i] for i in columns), u, along, allow_unused=True)
        for i, value in zip(rows, found, strict=True):
            ahead[i] = value
    return back, ahead


def _or_zero(v: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if v is None else v.detach()


def _by_player(game: Game, tensors: Tensors) -> dict[str, Tensors]:
    """A flat list over all parameters, parted by player; detached, each in memory of its own."""
    rest = iter(owned(None if t is None else t.detach() for t in tensors))
    return {name: [next(rest) for _ in game.parameters(name)] for name in game.players}
