"""The zero-centred penalty on real data (Mescheder, Geiger and Nowozin 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from manypaths.penalties.base import ZeroCentred
from manypaths.sources.gan_sample import GanSample


@dataclass(frozen=True)
class R1(ZeroCentred):
    """weight / 2 * E ||grad s(x)||_2^2 at the real data (their equation 9)."""

    def points(self, sample: GanSample, fake: Tensor) -> Tensor:
        return sample.real
