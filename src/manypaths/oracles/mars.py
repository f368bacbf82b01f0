"""MARS: a scaled correction at the previous point, for preconditioned optimisers (Yuan et al. 2025), for games."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.games.base import Game
from manypaths.games.capabilities import Stacked
from manypaths.oracles.recursive import Previous, Recursive, combined
from manypaths.sources.base import Source
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients, rows


@dataclass(eq=False)
class Mars(Recursive):
    """c_t = F_B(w_t) + gamma beta / (1 - beta) (F_B(w_t) - F_B(w_{t-1})), each tensor clipped to a norm of at most 1.

    Yuan et al. 2025, for Adam or AdamW with beta_1 = ``beta`` on top: the average m_t = beta m_{t-1} + (1 - beta) c_t
    is, with gamma = 1, STORM's estimate with momentum 1 - beta. ``"approximate"`` takes the gradient that it has,
    F_{B'}(w_{t-1}) with the batch of then: one evaluation, and the optimistic gradient with optimism
    gamma beta / (1 - beta). ``"exact"`` evaluates the batch at both points. The estimate begins with F_B(w_0). What the
    previous point is under extragradient, in turns and after a jump: ``Recursive``. The source may be infinite.

    Args:
        gamma: how much of the correction is taken; 0 is the mini-batch.
        beta: beta_1 of the optimiser.
        correction: whose gradient stands for the previous point's.
        clip: largest 2-norm of each tensor of c_t, as in the authors' code, or none.
        on_jump: forget the past (``"refresh"``), or correct across the jump.
    """

    source: Source
    batch: fields.PositiveInt = 64
    gamma: fields.NonNegative = 0.025
    beta: fields.Fraction = 0.95
    correction: Literal["exact", "approximate"] = "approximate"
    clip: fields.Positive | None = 1.0
    on_jump: Literal["refresh", "keep"] = "refresh"

    serves_populations: ClassVar[bool] = True

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()

    @property
    def looks_back(self) -> bool:  # type: ignore[override]
        return self.correction == "exact"

    @property
    def weight(self) -> float:
        """gamma beta / (1 - beta)."""
        return self.gamma * self.beta / (1.0 - self.beta)

    def draw(self) -> Sample:
        self.advance()
        return self.source.sample(self.batch)

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        found = self.estimate(game, sample, game.names(players), moves_buffers)
        if self.clip is not None:
            for name in found:
                _clip_(found[name], self.clip, isinstance(game, Stacked))
        return found

    def corrected(self, now: list[Tensor | None], then: list[Tensor | None], past: Previous) -> list[Tensor | None]:
        before = then if self.correction == "exact" else past.vector
        return combined((1.0 + self.weight, now), (-self.weight, before))

    def remembers(self, now: list[Tensor | None], estimate: list[Tensor | None]) -> list[Tensor | None]:
        """The plain gradient, where it is needed."""
        return [] if self.correction == "exact" else now


@torch.no_grad()
def _clip_(tensors: list[Tensor | None], largest: float, stacked: bool) -> None:
    for t in tensors:
        if t is None:
            continue
        norms = torch.linalg.vector_norm(t.reshape(len(t), -1), dim=1) if stacked else torch.linalg.vector_norm(t)
        scale = (largest / norms.clamp(min=math.ulp(0.0))).clamp(max=1.0)
        t.mul_(rows(scale, t) if stacked else scale)
