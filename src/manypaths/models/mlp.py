"""Fully connected networks."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from manypaths import fields
from manypaths.fields import check_arguments
from manypaths.models.labels import AddedLabel, Conditional, Projection, ProjectionCritic


def _layers(sizes: tuple[int, ...], slope: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(inputs, outputs))
        if i + 2 < len(sizes):
            layers.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
    return layers


class MlpGenerator(Conditional):
    """Latents (N, latent) to data (N, *shape), with ReLU between and a tanh at the end when ``bounded``.

    With ``classes``, the label's embedding is added to the latent.
    """

    def __init__(
        self,
        *,
        latent: fields.PositiveInt = 8,
        shape: tuple[fields.PositiveInt, ...] = (2,),
        hidden: tuple[fields.PositiveInt, ...] = (64, 64),
        bounded: bool = False,
        classes: fields.PositiveInt | None = None,
    ):
        super().__init__()
        check_arguments(MlpGenerator, locals())
        self.shape, self.classes = tuple(shape), classes
        self.label = AddedLabel(classes, latent)
        layers = _layers((latent, *hidden, math.prod(shape)), 0.0)
        self.layers = nn.Sequential(*layers, *([nn.Tanh()] if bounded else []))

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        self.expect(label)
        return self.layers(self.label(latent, label)).reshape(len(latent), *self.shape)


class MlpCritic(ProjectionCritic):
    """Data (N, *shape) to scores (N,), with LeakyReLU(0.2) between; with ``classes``, phi is the last hidden layer."""

    def __init__(
        self,
        *,
        shape: tuple[fields.PositiveInt, ...] = (2,),
        hidden: tuple[fields.PositiveInt, ...] = (64, 64),
        classes: fields.PositiveInt | None = None,
    ):
        super().__init__()
        check_arguments(MlpCritic, locals())
        self.classes = classes
        sizes = (math.prod(shape), *hidden, 1)
        self.layers = nn.Sequential(*_layers(sizes, 0.2))
        self.projection = Projection(classes, sizes[-2])

    def forward(self, data: Tensor, label: Tensor | None = None) -> Tensor:
        return super().forward(data.flatten(1), label)
