"""Two mistakes that a GAN trains with in silence: data out of the generator's range, and probabilities for logits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from manypaths.games.findings import Finding
from manypaths.games.reach import Bounds, reach
from manypaths.objectives.base import Objective

FEW = 8
"""Samples that a network is tried on at construction."""
ENOUGH = 256
"""Numbers that the data must hold before an empty half of the range says anything."""


def probed(network: nn.Module, inputs: Sequence[Tensor]) -> Bounds | None:
    """``reach``, and ``None`` where a network does not take being pushed."""
    if len(inputs[0]) < 2:
        return None
    try:
        return reach(network, inputs)
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError):
        return None  # that of a plain forward pass has been said already


def ranges(bounds: Bounds | None, real: Tensor, *, declared: bool) -> Iterator[Finding]:
    """Data lie in a bounded generator's range, and use it. ``declared``: their range was chosen by name."""
    if bounds is None or not real.is_floating_point() or not real.numel():
        return
    (low, high), (least, most) = bounds, (float(real.min()), float(real.max()))
    both = math.isfinite(high - low)
    width = high - low if both else 1.0
    made = f"the generator's outputs from {_shown(low)} to {_shown(high)}, wherever its weights go"
    said = f"data reach from {least:.3g} to {most:.3g} and {made}"
    if least < low - 0.05 * width or most > high + 0.05 * width:
        yield Finding("data range", f"{said}: it cannot make them", _scale_to(low, high))
    elif both and not declared and real.numel() >= ENOUGH and len(real) > 1:
        if least > (low + high) / 2 - 0.02 * width:
            yield Finding("data range", f"{said}: the data leave the lower half of it empty", _scale_to(low, high))
        elif most - least < 0.02 * width:
            yield Finding("data range", f"{said}: the data use hardly any of it", _scale_to(low, high))


def _scale_to(low: float, high: float) -> str:
    if (low, high) == (-1.0, 1.0):
        return "scale the data to [-1, 1] (uint8 images are), or end the generator otherwise"
    return f"scale the data to [{_shown(low)}, {_shown(high)}], or end the generator otherwise"


def _shown(bound: float) -> str:
    return f"{bound:.3g}" if math.isfinite(bound) else ("minus infinity" if bound < 0 else "infinity")


def probabilities(bounds: Bounds | None, objective: Objective) -> Iterator[Finding]:
    """Scores are logits where the objective wants them outside [0, 1]."""
    if bounds is None or abs(bounds[0]) > 0.01 or abs(bounds[1] - 1.0) > 0.01 or not _wants_logits(objective):
        return
    name = type(objective).__name__
    yield Finding(
        "probabilities as logits",
        f"the critic's scores stay between 0 and 1, wherever its weights go, and {name} expects logits: the game is "
        "a different one",
        "remove the sigmoid at the end of the critic; softplus on logits is the same loss without its overflow",
    )


def _wants_logits(objective: Objective) -> bool:
    """Whether the critic's loss goes on falling beyond the scores 1 of data and 0 of fakes, and is defined there.

    Not so for least squares with the labels 0 and 1, nor for an objective of probabilities.
    """
    real, fake = torch.full((8,), 1.0, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)
    real.requires_grad_()
    fake.requires_grad_()
    try:
        with torch.enable_grad():
            beyond = objective.critic(real + 0.5, fake - 0.5)
            slopes = torch.autograd.grad(objective.critic(real, fake), [real, fake], allow_unused=True)
    except (RuntimeError, ValueError, AssertionError):
        return False
    up, down = (0.0 if slope is None else float(slope.sum()) for slope in slopes)
    return bool(torch.isfinite(beyond)) and (up < -1e-3 or down > 1e-3)
