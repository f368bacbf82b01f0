"""What one population can hold: members that share all but their weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from manypaths.errors import InvalidType
from manypaths.games.base import Game


def groups(games: Sequence[Game]) -> list[list[int]]:
    """The members by what one stack can hold: lists of indices, in order of first appearance.

    Weights, buffers and seeds differ inside a group; what changes the graph or the game's constants does not.
    """
    found: list[list[int]] = []
    for i, game in enumerate(games):
        home = next((group for group in found if _difference(games[group[0]], game) is None), None)
        found.append([i]) if home is None else home.append(i)
    return found


def check_members(games: Sequence[Game]) -> None:
    """Refuse what one stack cannot hold.

    Only the first member's class, constants and modules are used: all others must have the same. Spectral norm moves
    its vectors by ``normalize(..., out=vector)``, which torch's vmap does not do.
    """
    if layers := _spectral_layers(games[0]):
        raise InvalidType(
            f"{layers[0]} has spectral norm, whose power iteration torch cannot run for many members at once: expected "
            "networks without it, or a Training of its own for each game"
        )
    for i, game in enumerate(games):
        if game is not games[0] and (difference := _difference(games[0], game)):
            raise InvalidType(
                f"member {i} has {difference} than member 0: members share all but their weights; vary=... is for "
                "numbers, and groups(games) tells which can be stacked"
            )


def _difference(first: Game, other: Game) -> str | None:
    """What keeps two games out of one stack, in words."""
    if type(first) is not type(other):
        return "another kind of game"
    for name, module in first.players.items():
        theirs = other.players.get(name)
        shapes = [[tuple(t.shape) for t in m.parameters()] for m in (module, theirs) if m is not None]
        if repr(theirs) != repr(module) or shapes[0] != shapes[1]:
            return f"another {name}"
    for name, value in vars(first).items():
        theirs = getattr(other, name, None)
        if name.startswith("_") or name == "players" or isinstance(value, nn.Module) or theirs is value:
            continue
        same = torch.equal(value, theirs) if isinstance(value, Tensor) and isinstance(theirs, Tensor) else None
        if not (value == theirs if same is None else same):
            return f"another {name}"
    return None


def _spectral_layers(game: Game) -> list[str]:
    """Layers with spectral norm, as a parametrisation or as a hook."""
    kinds = (_SpectralNorm, SpectralNorm)
    return [
        f"{player}.{name}".partition(".parametrizations.")[0].rstrip(".")
        for player, module in game.players.items()
        for name, layer in module.named_modules()
        if any(isinstance(part, kinds) for part in (layer, *layer._forward_pre_hooks.values()))
    ]
