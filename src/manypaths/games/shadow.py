"""Shadow modules: the same code over other tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

from manypaths.games.base import Game
from manypaths.vectors import Point


def shadow_modules(game: Game, point: Point, buffers: Sequence[Tensor]) -> Callable[[nn.Module], nn.Module]:
    """Module -> its shadow copy, whose trainable weights and buffers are the tensors given; all else is shared.

    Made anew for every use, which costs microseconds per layer: modes, hooks and attributes are those of the moment.
    A module that keeps references to its own parts in plain attributes would reach the original through them, which
    ``SideBySide`` finds out by trying.
    """
    tensors: dict[int, Any] = {}
    for name, weights in point.items():
        for parameter, weight in zip(game.parameters(name), weights, strict=True):
            tensors[id(parameter)] = nn.Parameter(weight)
    tensors.update((id(old), new) for old, new in zip(game.buffers(), buffers, strict=True))
    made: dict[int, nn.Module] = {}

    def substitute(old: Mapping[str, Any]) -> dict[str, Any]:
        return {name: tensors.get(id(tensor), tensor) for name, tensor in old.items()}

    def shadow(module: nn.Module) -> nn.Module:
        if id(module) not in made:
            kind = _with_own_weights(type(module)) if parametrize.is_parametrized(module) else type(module)
            new = made[id(module)] = kind.__new__(kind)
            new.__dict__ = dict(module.__dict__)  # not ``copy.copy``, which parametrised modules refuse
            new._parameters, new._buffers = substitute(module._parameters), substitute(module._buffers)
            new._modules = {name: None if child is None else shadow(child) for name, child in module._modules.items()}
        return made[id(module)]

    return shadow


def _with_own_weights(kind: type[nn.Module]) -> type[nn.Module]:
    """The class of a parametrised module, for its shadow copies: each computes a weight once and keeps it.

    ``parametrize.cached`` remembers weights under the identity of the original, which the copy is not.
    """
    if "_shadows" not in vars(kind):
        names = [name for name, value in vars(kind).items() if isinstance(value, property)]
        setattr(kind, "_shadows", type(kind.__name__, (kind,), {name: _kept(name) for name in names}))  # noqa: B010
    return vars(kind)["_shadows"]


def _kept(name: str) -> property:
    def weight(module: Any) -> Tensor:
        kept = module.__dict__.setdefault("_weights", {})
        if name not in kept:
            kept[name] = module.parametrizations[name]()
        return kept[name]

    return property(weight)
