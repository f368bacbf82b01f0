"""Fully connected networks."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from manypaths import fields
from manypaths.fields import check_arguments


def _layers(sizes: tuple[int, ...], slope: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(inputs, outputs))
        if i + 2 < len(sizes):
            layers.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
    return layers


class MlpGenerator(nn.Module):
    """Latents (N, latent) to data (N, *shape), with ReLU between and a tanh at the end when ``bounded``."""

    def __init__(
        self,
        *,
        latent: fields.PositiveInt = 8,
        shape: tuple[fields.PositiveInt, ...] = (2,),
        hidden: tuple[fields.PositiveInt, ...] = (64, 64),
        bounded: bool = False,
    ):
        super().__init__()
        check_arguments(MlpGenerator, locals())
        self.shape = tuple(shape)
        layers = _layers((latent, *hidden, math.prod(shape)), 0.0)
        self.layers = nn.Sequential(*layers, *([nn.Tanh()] if bounded else []))

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent).reshape(len(latent), *self.shape)


class MlpCritic(nn.Module):
    """Data (N, *shape) to scores (N,), with LeakyReLU(0.2) between."""

    def __init__(
        self, *, shape: tuple[fields.PositiveInt, ...] = (2,), hidden: tuple[fields.PositiveInt, ...] = (64, 64)
    ):
        super().__init__()
        check_arguments(MlpCritic, locals())
        self.layers = nn.Sequential(*_layers((math.prod(shape), *hidden, 1), 0.2))

    def forward(self, data: Tensor) -> Tensor:
        return self.layers(data.flatten(1)).squeeze(-1)
