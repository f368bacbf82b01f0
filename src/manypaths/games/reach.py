"""How far a network's outputs can go: seen by pushing its last layer, and not read off the names of its modules."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from manypaths.eager import uncompiled

Bounds = tuple[float, float]
PUSHES = (1e3, 1e6)
"""What is added to the last layer's output, times numbers of order 1: an output that follows is not bounded."""

_LAYERS = (
    *(nn.Linear, nn.Bilinear, nn.Embedding, nn.LayerNorm, nn.GroupNorm),
    *(nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase),
)


def reach(network: nn.Module, inputs: Sequence[Tensor]) -> Bounds | None:
    """The least and the largest output, infinite where there is no bound; ``None`` where the push does not arrive.

    The outputs of the layer with weights that comes last in the forward pass are pushed far up for every other sample
    and far down for the rest, by numbers that differ between entries. A linear output follows; tanh, sigmoid, clamp,
    softmax and the like end at their bounds, wherever they stand in the code. Weights come back; the caller keeps the
    buffers and torch's random numbers. Needs two samples.
    """
    with uncompiled(network):
        order = _order(network, inputs)
        seen = [_ends(network, inputs, order, push) for push in PUSHES]
    if None in seen:
        return None
    (low, high), (lower, higher) = seen  # type: ignore[misc]
    return (lower if _stays(low, lower) else -math.inf), (higher if _stays(high, higher) else math.inf)


def _stays(near: float, far: float) -> bool:
    return math.isfinite(far) and abs(far) <= 2 * abs(near) + 1e-9


def _ends(network: nn.Module, inputs: Sequence[Tensor], order: list[nn.Module], push: float) -> Bounds | None:
    with _pushed(order, push):
        outputs = network(*inputs)
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
        return None
    return float(outputs.detach().min()), float(outputs.detach().max())


def _order(network: nn.Module, inputs: Sequence[Tensor]) -> list[nn.Module]:
    """The last layer of torch's with weights, in the order of the forward pass, and what has weights and ends later."""
    order: list[nn.Module] = []
    note = lambda module, *_: order.append(module)  # noqa: E731
    hooks = [m.register_forward_hook(note) for m in network.modules() if _has_weights(m)]
    try:
        network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    last = max((i for i, module in enumerate(order) if isinstance(module, _LAYERS)), default=0)
    return list(dict.fromkeys(order[last:])) or [network]


def _has_weights(module: nn.Module) -> bool:
    if isinstance(module, parametrize.ParametrizationList):
        return False
    return parametrize.is_parametrized(module) or any(p is not None for p in module._parameters.values())


@contextlib.contextmanager
def _pushed(modules: Sequence[nn.Module], push: float) -> Iterator[None]:
    """Layers of torch's by their outputs, whatever makes their weights; other modules by weights of their own."""
    hooks, moved = [], []
    for number, module in enumerate(modules):
        if isinstance(module, _LAYERS):
            hooks.append(module.register_forward_hook(_pusher(push, number)))
        else:
            moved += [p for p in module._parameters.values() if p is not None and p.is_floating_point()]
    saved = [p.detach().clone() for p in moved]
    try:
        with torch.no_grad():
            for number, p in enumerate(moved):
                p.add_(_noise(p, number), alpha=push)
        yield
    finally:
        with torch.no_grad():
            for p, old in zip(moved, saved, strict=True):
                p.copy_(old)
        for hook in hooks:
            hook.remove()


def _pusher(push: float, number: int) -> Callable[..., Any]:
    def hook(module: nn.Module, given: Any, output: Any) -> Any:
        return output + push * _noise(output, number) if isinstance(output, Tensor) else output

    return hook


def _noise(like: Tensor, number: int) -> Tensor:
    """Numbers of absolute value at least 1, above zero in every other row."""
    draw = torch.Generator().manual_seed(number)
    values = 1.0 + torch.randn(like.shape, generator=draw).abs()
    if like.ndim:
        values[1::2] *= -1.0
    return values.to(like)
