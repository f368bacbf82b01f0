"""What losses and networks return, checked where it comes back: a fault is said in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue


def expect_losses(losses: Any, names: Iterable[str]) -> Mapping[str, Tensor]:
    """A scalar tensor for each of the players."""
    if not isinstance(losses, Mapping):
        raise InvalidType(f"losses() returned {_described(losses)}: expected a mapping from players to scalar tensors")
    for name in names:
        if name not in losses:
            raise InvalidValue(f"losses() returned {sorted(losses)}: expected an entry for player {name!r}")
        loss = losses[name]
        if not isinstance(loss, Tensor):
            advice = "return the loss" if loss is None else "leave .item() and float() away, which cut the graph off"
            raise InvalidType(f"the loss of {name!r} is {_described(loss)}: expected a scalar tensor; {advice}")
        if loss.ndim != 0:
            raise InvalidValue(f"the loss of {name!r} has shape {tuple(loss.shape)}: expected a scalar (a batch mean)")
        if loss.is_complex():
            raise InvalidType(f"the loss of {name!r} is a {loss.dtype}: expected a real number; end it with .real")
    return losses


def expect_tensor(found: Any, who: str, what: str) -> Tensor:
    """The one tensor that a network returns."""
    if not isinstance(found, Tensor):
        raise InvalidType(
            f"{who} returned {_described(found)}: expected one tensor, {what}; put it into a module whose forward "
            "returns that alone"
        )
    return found


def _described(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"{value!r} ({type(value).__name__})" if isinstance(value, (int, float)) else f"a {type(value).__name__}"
