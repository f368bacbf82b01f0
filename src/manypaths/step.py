"""The record of a step, which rules write and averages read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from manypaths.vectors import Point


@dataclass(frozen=True)
class StepInfo:
    """What happened in a step.

    Attributes:
        losses: each moved player's loss at the point where its (last) move of the step began.
        jumped: the iterate was moved by something else than a step of the optimizers (a restart, a sync).
        half: the extrapolated point, where the rule has one and was asked to keep it.
    """

    losses: Mapping[str, Tensor]
    jumped: bool = False
    extrapolated: Point | None = None

    def __str__(self) -> str:
        """The losses, ``critic 0.693  generator 0.7``; the range over the members of a population."""
        return "  ".join(f"{name} {_shown(loss)}" for name, loss in self.losses.items())


def _shown(loss: Tensor) -> str:
    low, high = float(loss.detach().min()), float(loss.detach().max())
    return f"{low:.4g}" if loss.ndim == 0 else f"{low:.4g} to {high:.4g}"
