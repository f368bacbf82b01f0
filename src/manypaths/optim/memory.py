"""What an optimiser remembers: its state, counters beside it, and the optimisers that it wraps."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from manypaths.vectors import copied

_PLAIN = (type(None), bool, int, float, complex, str, bytes, Tensor, torch.dtype, torch.device, torch.Generator)
_CODE = (type, types.ModuleType, nn.Module, Optimizer, LRScheduler)


def wrapped(optimizer: Optimizer) -> list[Optimizer]:
    """An optimiser and those that it holds, in attributes, lists or mappings, each once."""
    found: dict[int, Optimizer] = {}

    def look(value: Any) -> None:
        if isinstance(value, Optimizer):
            if id(value) not in found:
                found[id(value)] = value
                for attribute in _attributes(value).values():
                    look(attribute)
        elif isinstance(value, (list, tuple)):
            for part in value:
                look(part)
        elif isinstance(value, dict):
            for part in value.values():
                look(part)

    look(optimizer)
    return list(found.values())


def opaque(optimizer: Optimizer) -> str | None:
    """An attribute whose content nobody here knows how to take back, and what it is; ``None`` where there is none."""
    for part in wrapped(optimizer):
        for name, value in _attributes(part).items():
            for leaf in _leaves(value):
                if not isinstance(leaf, _PLAIN) and not isinstance(leaf, _CODE) and not callable(leaf):
                    return f"{type(part).__name__}.{name} ({type(leaf).__name__})"
    return None


class Memory:
    """Everything an optimiser remembers at this moment; ``restore`` puts the same objects back, with the same content.

    Only that keeps what several places share: a wrapped optimiser's state, say, is often an attribute of the wrapper.
    """

    def __init__(self, optimizer: Optimizer):
        self._contents: list[tuple[Any, Any]] = []
        self._tensors: list[tuple[Tensor, Tensor]] = []
        parts = wrapped(optimizer)
        self._seen = {id(p) for part in parts for group in part.param_groups for p in group["params"]}
        for part in parts:
            attributes = _attributes(part)
            self._contents.append((vars(part), attributes))
            for value in (part.state, part.param_groups, *attributes.values()):
                self._keep(value)

    def _keep(self, value: Any) -> None:
        if not isinstance(value, (Tensor, dict, list, deque, set, tuple)) or id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, Tensor):
            if not isinstance(value, nn.Parameter):
                self._tensors.append((value, value.detach().clone()))
            return
        if not isinstance(value, tuple):
            self._contents.append((value, value.copy()))
        for part in value.values() if isinstance(value, dict) else value:
            self._keep(part)

    @torch.no_grad()
    def restore(self) -> None:
        for tensor, content in self._tensors:
            tensor.copy_(content)
        for container, content in self._contents:
            if isinstance(container, dict):
                known = content.keys() | (_common() if "param_groups" in container else set())
                for key in [key for key in container if key not in known]:
                    del container[key]
                container.update(content)
            else:
                container.clear()
                container.extend(content) if isinstance(container, (list, deque)) else container.update(content)


class SecondMemory:
    """What an optimiser remembers of the half-steps alone: states of their own, and the counters that they move.

    Settings that nobody moved in a half-step, such as a learning rate, are those of the moment.
    """

    def __init__(self, optimizer: Optimizer):
        self._parts = wrapped(optimizer)
        self.states: list[dict[Any, Any]] = [{} for _ in self._parts]
        """Of the optimiser, then of those that it wraps."""
        self._moved: dict[tuple[int, str], Any] = {}

    def enter(self) -> None:
        """Take the optimiser over; ``leave`` gives it back."""
        self._base = [dict(part.state) for part in self._parts]
        for part, state in zip(self._parts, self.states, strict=True):
            _exchange(part.state, state)
        self._before = [copied(_settings(place)) for place in self._places()]
        for (place, key), value in self._moved.items():
            self._places()[place][key] = copied(value)

    def leave(self) -> None:
        self.states = [dict(part.state) for part in self._parts]
        for part, state in zip(self._parts, self._base, strict=True):
            _exchange(part.state, state)
        self._moved = {}
        for number, (place, before) in enumerate(zip(self._places(), self._before, strict=True)):
            for key, value in _settings(place).items():
                if key not in before or not _equal(value, before[key]):
                    self._moved[number, key] = copied(value)
                    place[key] = before.get(key)
            for key in [key for key in _settings(place) if key not in before]:
                del place[key]

    def _places(self) -> list[dict[str, Any]]:
        """Where counters are: the groups, and the attributes."""
        groups = {id(group): group for part in self._parts for group in part.param_groups}
        return [*groups.values(), *(vars(part) for part in self._parts)]


def _exchange(state: Any, content: dict[Any, Any]) -> None:
    state.clear()
    state.update(content)


def _settings(place: dict[str, Any]) -> dict[str, Any]:
    """Numbers, tensors and containers of them; neither weights nor what is the same for all optimisers."""
    left_out = _common() if "param_groups" in place else {"params"}
    plain = lambda value: all(isinstance(leaf, _PLAIN) for leaf in _leaves(value))  # noqa: E731
    return {key: value for key, value in place.items() if key not in left_out and plain(value)}


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    else:
        yield value


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)


def _attributes(optimizer: Optimizer) -> dict[str, Any]:
    """Those that not every torch optimiser has."""
    return {name: value for name, value in vars(optimizer).items() if name not in _common()}


@cache
def _common() -> frozenset[str]:
    return frozenset(vars(torch.optim.SGD([torch.zeros(1)], lr=1.0)))
