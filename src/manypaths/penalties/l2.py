"""Weight decay as a part of the game."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from manypaths import fields
from manypaths.penalties.base import Penalty
from manypaths.sources.gan_sample import GanSample


@dataclass(frozen=True)
class L2(Penalty):
    """weight / 2 * ||w||_2^2 over all weights of a player: its part of the field is F(w) + weight * w, at any point.

    An optimiser's ``weight_decay`` acts at w_t, also where a rule takes the gradient at w_{t+1/2}; under extragradient
    the two are different methods, and this one solves the regularised game. It is no decoupled decay (AdamW).

    Attributes:
        player: whose weights; two penalties are needed for both.
    """

    weight: fields.NonNegative = 1e-4
    player: Literal["critic", "generator"] = "critic"

    per_sample: ClassVar[bool] = False

    def __post_init__(self) -> None:
        fields.check(self)

    def __call__(self, critic: nn.Module, sample: GanSample, fake: Tensor) -> Tensor:
        """``critic`` is the player's network."""
        squares = [p.square().sum() for p in critic.parameters()]
        return self.weight / 2 * sum(squares, start=sample.real.new_zeros(()))
