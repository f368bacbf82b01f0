"""Linear algebra on joint vectors: player -> one tensor per parameter, ``None`` where a gradient does not exist.

Everything runs through ``torch._foreach_*``: one call for all tensors of a player, in place where the name says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

Point = Mapping[str, Sequence[Tensor]]
"""Weights only: player -> its trainable parameters, in the order of ``Module.parameters()``."""


Vector = Mapping[str, Sequence["Tensor | None"]]


class Losses(MutableMapping[str, Tensor]):
    """Player -> its loss, computed when one is first looked at where losses are not a by-product of gradients."""

    def __init__(self, found: Mapping[str, Tensor] | Callable[[], Mapping[str, Tensor]]):
        self._found = found

    @property
    def _values(self) -> dict[str, Tensor]:
        if not isinstance(self._found, dict):
            self._found = dict(self._found() if callable(self._found) else self._found)
        return self._found

    def __getitem__(self, player: str) -> Tensor:
        return self._values[player]

    def __setitem__(self, player: str, loss: Tensor) -> None:
        self._values[player] = loss

    def __delitem__(self, player: str) -> None:
        del self._values[player]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Gradients(Mapping[str, "list[Tensor | None]"]):
    """Player -> gradients of its own loss with respect to its own parameters, with the losses they came from.

    An entry is ``None`` where the loss does not depend on the parameter; such a parameter stays untouched.
    """

    def __init__(
        self,
        by_player: Mapping[str, list[Tensor | None]],
        losses: Mapping[str, Tensor] | Callable[[], Mapping[str, Tensor]],
    ):
        self._by_player = dict(by_player)
        self.losses = losses if isinstance(losses, Losses) else Losses(losses)

    def __getitem__(self, player: str) -> list[Tensor | None]:
        return self._by_player[player]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_player)

    def __len__(self) -> int:
        return len(self._by_player)

    def only(self, players: Iterable[str]) -> Gradients:
        """The entries of some players."""
        return Gradients({name: self[name] for name in players}, {name: self.losses[name] for name in players})


def present(tensors: Iterable[Tensor | None]) -> list[Tensor]:
    """The tensors that exist."""
    return [t for t in tensors if t is not None]


@torch.no_grad()
def clone(vector: Point) -> dict[str, list[Tensor]]:
    """A detached copy that shares no storage."""
    return {name: [t.clone() for t in tensors] for name, tensors in vector.items()}


def copied(state: Any) -> Any:
    """A state dict in memory of its own: what is loaded from one must not write into it, or into another's."""
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, Mapping):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(copied(value) for value in state)
    return state


def remembered(vector: Vector) -> dict[str, list[Tensor | None]]:
    """A copy that shares no storage: clipping and optimisers may write into a gradient that they are handed."""
    return {name: [None if t is None else t.detach().clone() for t in tensors] for name, tensors in vector.items()}


def owned(tensors: Iterable[Tensor | None]) -> list[Tensor | None]:
    """The same values, each in memory of its own.

    ``autograd.grad`` hands out one tensor for two parameters that enter a loss as a sum, and expanded views for
    constants; both would be corrupted by arithmetic in place. Sparse ones (``nn.Embedding(sparse=True)``) become dense:
    rules, oracles and averages add them up.
    """
    seen: set[int] = set()
    result: list[Tensor | None] = []
    for tensor in tensors:
        if tensor is not None and tensor.layout is not torch.strided:
            tensor = tensor.to_dense()
        if tensor is not None:
            place = tensor.untyped_storage().data_ptr()
            if place in seen or any(stride == 0 for stride in tensor.stride()):
                tensor = tensor.clone(memory_format=torch.contiguous_format)
            seen.add(place)
        result.append(tensor)
    return result


@torch.no_grad()
def swap_parameters(parameters: Point, point: Point) -> dict[str, list[Tensor]]:
    """Let parameters have a point's storage, without a copy; returns what they had, for ``swap_back``.

    A tensor of another shape, dtype, device or memory order is copied into one of the parameter's kind.
    """
    had = {name: [p.detach() for p in parameters[name]] for name in point}
    given = {
        name: [
            new if _alike(new, old) else torch.empty_like(old).copy_(new)
            for old, new in zip(had[name], point[name], strict=True)
        ]
        for name in point
    }
    swap_back(parameters, given)  # nothing is moved before everything fits
    return had


def swap_back(parameters: Point, had: Point) -> None:
    """Let parameters have the storage of tensors that are of their kind."""
    for name, tensors in had.items():
        for parameter, tensor in zip(parameters[name], tensors, strict=True):
            parameter.data = tensor
        increment_version(parameters[name])  # autograd then refuses to go back through a graph from before


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.stride() == b.stride() and a.dtype == b.dtype and a.device == b.device


@torch.no_grad()
def copy_(target: Sequence[Tensor], source: Sequence[Tensor], members: Tensor | None = None) -> None:
    """Overwrite ``target`` in place: storage addresses survive. With a mask (m,), only those rows of a stack."""
    if target and members is None:
        torch._foreach_copy_(list(target), list(source))
    elif members is not None:
        for t, s in zip(target, source, strict=True):
            t[members] = s[members]


@torch.no_grad()
def add_(target: list[Tensor | None], source: Sequence[Tensor | None], scale: float = 1.0) -> None:
    """``target += scale * source``, where ``None`` is zero."""
    pairs = [(t, s) for t, s in zip(target, source, strict=True) if t is not None and s is not None]
    if len(pairs) < len(target):
        for i, (t, s) in enumerate(zip(target, source, strict=True)):
            if t is None and s is not None:
                target[i] = s * scale
    if pairs:
        torch._foreach_add_([t for t, _ in pairs], [s for _, s in pairs], alpha=scale)


@torch.no_grad()
def lerp_(target: Sequence[Tensor], end: Sequence[Tensor], weight: float | Tensor) -> None:
    """``target += weight * (end - target)``; a tensor (m,) is one weight per row of a stack."""
    if isinstance(weight, Tensor):
        for t, e in zip(target, end, strict=True):
            t.lerp_(e, rows(weight, t))
    elif target:
        torch._foreach_lerp_(list(target), list(end), weight)


def replaced(old: Sequence[Tensor], new: Sequence[Tensor], members: Tensor) -> list[Tensor]:
    """The rows of a stack that a mask (m,) names from ``new``, the others from ``old``, in memory of their own."""
    return [
        torch.where(members.to(o.device).reshape(-1, *[1] * (o.ndim - 1)), n, o) for o, n in zip(old, new, strict=True)
    ]


def rows(values: Tensor, like: Tensor) -> Tensor:
    """One number per member, (m,), shaped to multiply a stack (m, ...) of tensors."""
    return values.to(like.device, like.dtype).reshape(-1, *[1] * (like.ndim - 1))


@torch.no_grad()
def scale_(target: Sequence[Tensor | None], factor: float) -> None:
    """``target *= factor``."""
    if tensors := present(target):
        torch._foreach_mul_(tensors, factor)


@torch.no_grad()
def squared_norm(tensors: Iterable[Tensor | None]) -> float:
    """``||v||^2`` of one player's part, summed in float64."""
    existing = present(tensors)
    if not existing:
        return 0.0
    return float(torch.stack([n.double() for n in torch._foreach_norm(existing)]).square().sum())


@torch.no_grad()
def dot(a: Vector, b: Vector) -> float:
    """<a, b> over all players of ``a``, its real part, where ``None`` is zero, summed in float64."""
    pairs = [(t, s) for name in a for t, s in zip(a[name], b[name], strict=True) if t is not None and s is not None]
    return float(sum((wide(t) * wide(s).conj()).sum().real for t, s in pairs))


def wide(tensor: Tensor) -> Tensor:
    """In float64, or complex128."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float64))


def flat(vector: Vector) -> Tensor:
    """All players' tensors as one vector, in order."""
    return torch.cat([t.reshape(-1) for tensors in vector.values() for t in present(tensors)])
