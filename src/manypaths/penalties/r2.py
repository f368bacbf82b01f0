"""The zero-centred penalty on fakes (Mescheder, Geiger and Nowozin 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from manypaths.penalties.base import ZeroCentred
from manypaths.sources.gan_sample import GanSample


@dataclass(frozen=True)
class R2(ZeroCentred):
    """weight / 2 * E ||grad s(G(z))||_2^2 at the fakes; the generator does not feel it."""

    def points(self, sample: GanSample, fake: Tensor) -> Tensor:
        return fake
