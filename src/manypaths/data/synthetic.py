"""Data that are drawn, not read."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch

from manypaths import fields
from manypaths.data.base import Data, DataSet
from manypaths.data.splits import SplitName
from manypaths.randomness import generator_for


@dataclass(frozen=True)
class Ring(DataSet):
    """``modes`` Gaussians of deviation ``std`` on a circle of radius ``radius`` in the plane; (N, 2) floats.

    The three splits are independent draws; ``labels`` are the modes.
    """

    size: fields.PositiveInt = 4096
    modes: fields.PositiveInt = 8
    radius: fields.Positive = 2.0
    std: fields.NonNegative = 0.05
    seed: int = 0
    split: SplitName = "train"

    def __post_init__(self) -> None:
        fields.check(self)

    def reference(self) -> Ring:
        return dataclasses.replace(self, split="test")

    def validation(self) -> Ring:
        return dataclasses.replace(self, split="valid")

    def load(self) -> Data:
        purpose = ("ring",) if self.split == "train" else ("ring", self.split)
        generator = generator_for(self.seed, *purpose)
        mode = torch.randint(self.modes, (self.size,), generator=generator)
        angle = mode * (2 * math.pi / self.modes)
        centre = self.radius * torch.stack([angle.cos(), angle.sin()], dim=1)
        return Data(centre + self.std * torch.randn(self.size, 2, generator=generator), mode)
