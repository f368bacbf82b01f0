"""The zero-centred penalty on real data (Mescheder, Geiger and Nowozin 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from manypaths import fields
from manypaths.games.gan_sample import GanSample
from manypaths.penalties.base import Penalty, input_gradients, squared_norms


@dataclass(frozen=True)
class R1(Penalty):
    """weight / 2 * E ||grad s(x)||_2^2 at the real data (their equation 9)."""

    weight: fields.NonNegative = 1.0

    def __post_init__(self) -> None:
        fields.check(self)

    def __call__(self, critic: nn.Module, sample: GanSample, fake: Tensor) -> Tensor:
        return self.weight / 2 * squared_norms(input_gradients(critic, sample.real)).mean()
