"""What an optimiser must be to take part: said before the first step."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from manypaths.errors import InvalidType, InvalidValue
from manypaths.optim.composite import Composite

_MIXING = tuple(getattr(torch.optim, name) for name in ("Muon", "Adafactor") if hasattr(torch.optim, name))
"""Steps that are no function of each entry alone."""


def usable(optimizer: Any, player: str) -> Optimizer:
    """The optimiser of a player; several become one."""
    if isinstance(optimizer, (list, tuple)):
        optimizer = Composite(optimizer)
    if not isinstance(optimizer, Optimizer):
        raise InvalidType(
            f"the optimiser of {player!r} is {optimizer!r}: expected a torch.optim.Optimizer, or a list of them"
        )
    for part in parts_of(optimizer):
        kind = type(part).__name__
        if isinstance(part, torch.optim.SparseAdam):
            raise InvalidType(
                f"the optimiser of {player!r} is SparseAdam, which takes sparse gradients alone, and those that an "
                "oracle hands over are dense: expected Adam"
            )
        if _needs_closure(part):
            raise InvalidType(
                f"the optimiser of {player!r} is {kind}, whose step evaluates losses itself (a closure), and gradients "
                "come from an oracle: expected one whose step needs no closure, such as Adam"
            )
        for group in part.param_groups:
            _expect_finite(group, f"the {kind} of {player!r}")
    return optimizer


def expect_elementwise(optimizer: Optimizer, player: str) -> None:
    """In a population a weight is a stack of the members', which no step may mix."""
    for part in parts_of(optimizer):
        if isinstance(part, _MIXING):
            raise InvalidType(
                f"the optimiser of {player!r} is {type(part).__name__}, whose step mixes the entries of a weight, and "
                "those of a population are stacked: expected an elementwise one, such as Adam"
            )


def parts_of(optimizer: Optimizer) -> Sequence[Optimizer]:
    """The optimisers that step: those of a composite, else this one."""
    return optimizer.parts if isinstance(optimizer, Composite) else (optimizer,)


def _needs_closure(optimizer: Optimizer) -> bool:
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is closure.empty


def _expect_finite(group: Mapping[str, Any], whose: str) -> None:
    for name, value in group.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, Tensor) and name != "params" and number.numel() == 1:
                number = float(number)
            if isinstance(number, float) and not math.isfinite(number):
                raise InvalidValue(f"{name} of {whose} is {number}: expected a finite number")
