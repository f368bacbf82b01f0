"""The networks of R3GAN (Huang et al. 2024): residual blocks without normalisation."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.fields import check_arguments
from manypaths.models.labels import AddedLabel, Conditional, Projection, ProjectionCritic

Size = Literal[8, 14, 28, 32, 64]

_BASE = {8: 4, 14: 7, 28: 7, 32: 4, 64: 4}
"""Side of the smallest map."""
SLOPE = 0.2


class R3ganGenerator(Conditional):
    """R3GAN: latents (N, latent) to images (N, channels, size, size), not bounded.

    A learned map of ``width`` channels at the smallest side, each channel scaled by a linear function of the latent;
    ``blocks`` residual blocks per side, with an upsampling by [1, 2, 1] between; a 1x1 convolution to the channels of
    the images.

    Args:
        size: of the images.
        channels: of the images.
        latent: length of a latent vector.
        width: channels of every map.
        blocks: residual blocks at each side.
        groups: of the 3x3 convolutions; a divisor of twice the width.
        classes: with labels, the label's embedding is added to the latent.
    """

    def __init__(
        self,
        *,
        size: Size = 32,
        channels: fields.PositiveInt = 3,
        latent: fields.PositiveInt = 64,
        width: fields.PositiveInt = 64,
        blocks: fields.PositiveInt = 1,
        groups: fields.PositiveInt = 8,
        classes: fields.PositiveInt | None = None,
    ):
        super().__init__()
        check_arguments(R3ganGenerator, locals())
        sides = _sides(size)
        depth = len(sides) * blocks
        self.classes = classes
        self.label = AddedLabel(classes, latent)
        self.basis = nn.Parameter(torch.randn(width, sides[0], sides[0]))
        self.scale = nn.Linear(latent, width, bias=False)
        layers: list[nn.Module] = []
        for i in range(len(sides)):
            layers += [Resample(up=True)] if i else []
            layers += [ResidualBlock(width, groups, depth) for _ in range(blocks)]
        images = nn.Conv2d(width, channels, 1)
        self.layers = nn.Sequential(*layers, images)
        _scaled(self.scale.weight, 1.0)
        _scaled(images.weight, 1.0)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        self.expect(label)
        return self.layers(self.basis * self.scale(self.label(latent, label))[:, :, None, None])


class R3ganCritic(ProjectionCritic):
    """R3GAN: images (N, channels, size, size) to scores (N,), the mirror image of the generator.

    A 1x1 convolution, ``blocks`` residual blocks per side with a downsampling by [1, 2, 1] between; at the smallest
    side each channel's inner product with a learned map, and a linear layer.

    Args:
        size: of the images.
        channels: of the images.
        width: channels of every map.
        blocks: residual blocks at each side.
        groups: of the 3x3 convolutions; a divisor of twice the width.
        classes: with labels, phi is each channel's inner product with its learned map.
    """

    def __init__(
        self,
        *,
        size: Size = 32,
        channels: fields.PositiveInt = 3,
        width: fields.PositiveInt = 64,
        blocks: fields.PositiveInt = 1,
        groups: fields.PositiveInt = 8,
        classes: fields.PositiveInt | None = None,
    ):
        super().__init__()
        check_arguments(R3ganCritic, locals())
        sides = _sides(size)
        depth = len(sides) * blocks
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 1)]
        for i in range(len(sides)):
            layers += [Resample(up=False)] if i else []
            layers += [ResidualBlock(width, groups, depth) for _ in range(blocks)]
        basis, score = nn.Conv2d(width, width, sides[0], groups=width, bias=False), nn.Conv2d(width, 1, 1, bias=False)
        for layer in (layers[0], basis, score):
            _scaled(layer.weight, 1.0)  # type: ignore[arg-type]
        self.classes = classes
        self.layers = nn.Sequential(*layers, basis, score)
        self.projection = Projection(classes, width)


class ResidualBlock(nn.Module):
    """x + c3(a(c2(a(c1(x))))), c1 and c3 of 1x1, c2 of 3x3 in groups and twice as wide, a a leaky ReLU of slope 0.2.

    The last convolution starts at zero and the others at L^(-1/4) times He's deviation, with L residual blocks in the
    whole network (Zhang, Dauphin and Ma 2019, with three layers in a block), so that no normalisation is needed.
    """

    def __init__(self, width: int, groups: int, depth: int):
        super().__init__()
        wide = 2 * width
        if wide % groups:
            raise InvalidValue(f"groups is {groups} and twice the width {wide}: expected a divisor of it")
        self.first = nn.Conv2d(width, wide, 1)
        self.middle = nn.Conv2d(wide, wide, 3, padding=1, groups=groups)
        self.last = nn.Conv2d(wide, width, 1, bias=False)
        for layer in (self.first, self.middle):
            _scaled(layer.weight, math.sqrt(2 / (1 + SLOPE**2)) * depth**-0.25)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.last.weight)

    def forward(self, data: Tensor) -> Tensor:
        inner = F.leaky_relu(self.middle(F.leaky_relu(self.first(data), SLOPE)), SLOPE)
        return data + self.last(inner)


class Resample(nn.Module):
    """Twice or half the side, smoothed by the outer product of [1, 2, 1] / 4 with itself."""

    kernel: Tensor

    def __init__(self, *, up: bool):
        super().__init__()
        self.up = up
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", taps.outer(taps)[None, None] * (4 if up else 1), persistent=False)

    def forward(self, data: Tensor) -> Tensor:
        channels = data.shape[1]
        kernel = self.kernel.to(data.dtype).expand(channels, 1, 3, 3)
        if self.up:
            return F.conv_transpose2d(data, kernel, stride=2, padding=1, output_padding=1, groups=channels)
        return F.conv2d(data, kernel, stride=2, padding=1, groups=channels)


def _sides(size: int) -> list[int]:
    """The sides of the maps, rising."""
    sides = [_BASE[size]]
    while sides[-1] < size:
        sides.append(2 * sides[-1])
    return sides


def _scaled(weight: Tensor, gain: float) -> None:
    """Normal, with the deviation gain / sqrt(fan in)."""
    nn.init.normal_(weight, 0.0, gain / math.sqrt(weight[0].numel()))
