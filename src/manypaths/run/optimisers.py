"""Optimisers from a recipe's parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.optim import Optimizer

from manypaths.errors import InvalidType, InvalidValue
from manypaths.optim.usable import usable
from manypaths.specs import Spec

_MUON = getattr(torch.optim, "Muon", None)


def build_optimizer(part: Spec[Optimizer], params: Sequence[nn.Parameter], where: str) -> Optimizer:
    """An optimiser over these weights; what its constructor says against them is said with its place."""
    try:
        return part.build(params=params)
    except (ValueError, TypeError, RuntimeError) as error:
        advice = "; expected 'muon', which leaves the other weights to AdamW" if part.target is _MUON else ""
        raise InvalidValue(f"{where}: {error}{advice}") from error


def try_optimizer(part: Spec[Optimizer], where: str) -> None:
    """One step on dummy parameters: an optimiser that wants a closure or sparse gradients is found out here."""
    parameters = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1, 1))]
    optimizer = build_optimizer(part, parameters, where)
    usable(optimizer, where.rpartition(".")[2])
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    try:
        optimizer.step()
    except (TypeError, RuntimeError) as error:
        raise InvalidType(f"{where}: {error}; expected an optimiser that steps by dense gradients alone") from error
