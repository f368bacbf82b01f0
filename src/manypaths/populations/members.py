"""What one population can hold: members that share all but their weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from manypaths.errors import InvalidType
from manypaths.games.base import Game
from manypaths.games.from_losses import FromLosses


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

    Only the first member's class, constants, modules and loss functions are used: all others must have the same.
    Spectral norm moves its vectors by ``normalize(..., out=vector)``, which torch's vmap does not do.
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
    if list(first.players) != list(other.players):
        return "other players"
    partners: dict[int, Any] = {}
    for name, module in first.players.items():
        theirs = other.players[name]
        if repr(module) != repr(theirs) or _form(module) != _form(theirs):
            return f"another {name}"
        for (path, part), partner in zip(module.named_modules(), theirs.modules(), strict=True):
            mine, its = _constants(part), _constants(partner)
            if differing := [key for key in {**mine, **its} if mine.get(key, ...) != its.get(key, ...)]:
                return f"another {'.'.join(filter(None, (name, path, differing[0])))}"
            partners[id(part)] = partner
    if isinstance(first, FromLosses) and isinstance(other, FromLosses):
        for name, loss in first.functions.items():
            if not _alike(loss, other.functions[name], partners):
                return f"another loss of {name}"
    for name, value in vars(first).items():
        own = name.startswith("_") or name in ("players", "functions") or isinstance(value, nn.Module)
        if not own and not _alike(value, getattr(other, name, None), partners):
            return f"another {name}"
    return None


def _form(module: nn.Module) -> list[Any]:
    """What a stack of such modules consists of."""
    weights = [(name, p.shape, p.dtype, p.requires_grad) for name, p in module.named_parameters()]
    return [*weights, *((name, b.shape, b.dtype) for name, b in module.named_buffers()), *dict(module.named_modules())]


def _constants(module: nn.Module) -> dict[str, Any]:
    """A module's public numbers, names and switches, which its ``repr`` need not show."""
    return {name: value for name, value in vars(module).items() if not name.startswith("_") and _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _alike(first: Any, other: Any, partners: dict[int, Any]) -> bool:
    """Whether two values compute the same: objects that stand for each other (id -> object), or equal ones.

    Functions are equal that were made twice by one piece of code, with equal defaults and captured variables.
    """
    if first is other or id(first) in partners:
        return first is other or partners[id(first)] is other
    if type(first) is not type(other):
        return _is_plain(first) and _is_plain(other) and first == other
    if isinstance(first, FunctionType):
        partners[id(first)] = other  # for functions that capture themselves
        return first.__code__ == other.__code__ and _alike(_bound(first), _bound(other), partners)
    if isinstance(first, partial):
        return _alike(first.func, other.func, partners) and _alike(_bound(first), _bound(other), partners)
    if isinstance(first, MethodType):
        return first.__func__ is other.__func__ and _alike(first.__self__, other.__self__, partners)
    if isinstance(first, (tuple, list)):
        return len(first) == len(other) and all(_alike(a, b, partners) for a, b in zip(first, other, strict=True))
    if isinstance(first, dict):
        return first.keys() == other.keys() and all(_alike(first[key], other[key], partners) for key in first)
    if isinstance(first, Tensor):
        return first.dtype == other.dtype and first.device == other.device and torch.equal(first, other)
    try:
        return bool(first == other)
    except (ValueError, RuntimeError):  # of arrays, whose comparison is another one
        return False


def _bound(function: FunctionType | partial[Any]) -> list[Any]:
    """The values that a function carries with it."""
    if isinstance(function, partial):
        return [function.args, function.keywords]
    captured = [cell.cell_contents for cell in function.__closure__ or ()]
    return [function.__defaults__, function.__kwdefaults__, captured]


def _spectral_layers(game: Game) -> list[str]:
    """Layers with spectral norm, as a parametrisation or as a hook."""
    kinds = (_SpectralNorm, SpectralNorm)
    return [
        f"{player}.{name}".partition(".parametrizations.")[0].rstrip(".")
        for player, module in game.players.items()
        for name, layer in module.named_modules()
        if any(isinstance(part, kinds) for part in (layer, *layer._forward_pre_hooks.values()))
    ]
