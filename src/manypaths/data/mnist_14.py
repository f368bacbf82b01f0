"""MNIST at half the size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from manypaths.data import mnist
from manypaths.data.base import BLOCK, Data
from manypaths.data.net_spec import NetRecipe, NetSpec
from manypaths.data.splits import OfficialSplits


@dataclass(frozen=True, kw_only=True)
class Mnist14(OfficialSplits):
    """MNIST at 14x14: every pixel is the mean of 2x2, rounded; for runs of many updates on few cores.

    Read from MNIST's files.

    Attributes:
        split: which images; ``"valid"`` is cut off the training part.
        held_out: how many of the last training images are ``"valid"`` and not ``"train"``.
        limit: keep only the first images of the split.
    """

    nets: ClassVar[Mapping[str, NetSpec]] = {
        "mnist-14-cnn": NetSpec("MnistCnn", NetRecipe(epochs=4, at_least=0.98), {"side": 14})
    }

    def part(self, name: Literal["train", "test"]) -> Data:
        full = mnist.FILES.part(name)
        return Data(halved(full.real), full.labels)


def halved(images: Tensor) -> Tensor:
    """uint8 (N, C, H, W) to (N, C, H / 2, W / 2), the mean of 2x2 pixels rounded to even halves."""
    return torch.cat([avg_pool2d(part.float(), 2).round_().to(torch.uint8) for part in images.split(BLOCK)])
