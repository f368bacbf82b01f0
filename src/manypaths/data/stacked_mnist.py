"""Stacked MNIST: three digits in the three channels, a thousand modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from manypaths.data.base import Data
from manypaths.data.mnist import Mnist
from manypaths.data.splits import OfficialSplits
from manypaths.randomness import counter_uniform


@dataclass(frozen=True, kw_only=True)
class StackedMnist(OfficialSplits):
    """Three random MNIST digits in the channels, 28x28x3, in 1,000 modes (Metz et al. 2016); labels 0 to 999.

    Channel c of image i is digit j ~ U{0 .. n - 1} of the n digits of the same split, a function of (seed, split, i,
    c); a split has as many images as digits, and no digit is in two splits. The label of the digits (a, b, c) is
    100 a + 10 b + c. MNIST's files are read.

    Attributes:
        split: which images; ``"valid"`` is made of the held-out digits.
        held_out: how many of the last training digits are ``"valid"`` and not ``"train"``.
        limit: keep only the first images of the split.
        seed: of the draws.
    """

    seed: int = 0

    def load(self) -> Data:
        digits = Mnist(split=self.split, held_out=self.held_out).load()
        assert digits.labels is not None
        count = len(digits)
        uniform = counter_uniform(
            torch.arange(count), (3,), f"stacked-mnist/{self.seed}/{self.split}", dtype=torch.float64
        )
        drawn = (uniform[: self.limit] * count).long()
        labels = digits.labels[drawn] @ torch.tensor([100, 10, 1])
        return Data(digits.real[:, 0][drawn], labels)

    def part(self, name: Literal["train", "test"]) -> Data:
        return StackedMnist(split=name, seed=self.seed).load()
