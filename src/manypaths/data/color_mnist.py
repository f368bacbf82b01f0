"""Color MNIST: digits in a random colour on a coloured ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from manypaths.data import mnist
from manypaths.data.base import BLOCK, Data
from manypaths.data.net_spec import NetRecipe, NetSpec
from manypaths.data.splits import OfficialSplits
from manypaths.randomness import counter_uniform

_LEAST, _RANGE = 96, 65  # |digit - ground| in every channel is in 96 .. 160 of 255


@dataclass(frozen=True, kw_only=True)
class ColorMnist(OfficialSplits):
    """MNIST digits in a random colour on a coloured ground, 28x28x3 (after Metz et al. 2016 and Fedus et al. 2018).

    The law of the colours is ours, for the papers' is not known to us: per image and channel, ground b ~ U{0 .. 255},
    digit f = b + d mod 256 with d ~ U{96 .. 160}, and a pixel of ink x in 0 .. 255 becomes

        round((b (255 - x) + f x) / 255).

    So both colours are uniform, and in every channel they differ by 96 to 160 levels. The colours are a function of
    (seed, part, index): always the same image, whatever else is loaded. Labels are the digits. MNIST's files are read.

    Attributes:
        split: which images; ``"valid"`` is cut off the training part.
        held_out: how many of the last training images are ``"valid"`` and not ``"train"``.
        limit: keep only the first images of the split.
        seed: of the colours.
    """

    nets: ClassVar[Mapping[str, NetSpec]] = {
        "color-mnist-cnn": NetSpec("MnistCnn", NetRecipe(epochs=4, at_least=0.97), {"channels": 3})
    }

    seed: int = 0

    def part(self, name: Literal["train", "test"]) -> Data:
        digits = mnist.FILES.part(name)
        uniform = counter_uniform(torch.arange(len(digits)), (2, 3), f"color-mnist/{self.seed}/{name}")
        ground = (uniform[:, 0] * 256).long()
        ink = (ground + _LEAST + (uniform[:, 1] * _RANGE).long()) % 256
        painted = [
            _painted(*parts)
            for parts in zip(digits.real.split(BLOCK), ground.split(BLOCK), ink.split(BLOCK), strict=True)
        ]
        return Data(torch.cat(painted), digits.labels)


def _painted(digits: Tensor, ground: Tensor, ink: Tensor) -> Tensor:
    """Mix the two colours (N, 3) by the ink (N, 1, H, W).

    The numerator is exact in float32 and the quotient never near a half (255 is odd), so every machine rounds alike.
    """
    amount = digits.to(torch.float32)
    low, high = (colour.to(torch.float32)[:, :, None, None] for colour in (ground, ink))
    return (low * (255 - amount) + high * amount).div_(255).round_().to(torch.uint8)
