"""The deep networks of the SVRE paper: residual, as in SN-GAN (Miyato et al. 2018)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from manypaths import fields
from manypaths.fields import check_arguments
from manypaths.models.labels import Conditional, Labelled, Projection, ProjectionCritic, batch_norm
from manypaths.models.layers import Init, initialise, spectral_norm

Size = Literal[32, 64]

_DOUBLINGS = {32: 3, 64: 4}
"""From 4x4 to the images."""


class UpBlock(Labelled):
    """x -> up(x) + conv(relu(norm(conv(up(relu(norm(x))))))): twice the pixels, nearest neighbour, as many channels."""

    def __init__(self, width: int, classes: int | None):
        def convolution() -> nn.Module:
            return nn.Conv2d(width, width, 3, padding=1)

        super().__init__(
            *(batch_norm(width, classes), nn.ReLU(), nn.Upsample(scale_factor=2), convolution()),
            *(batch_norm(width, classes), nn.ReLU(), convolution()),
        )

    def forward(self, input: Tensor, label: Tensor | None = None) -> Tensor:
        return nn.functional.interpolate(input, scale_factor=2) + super().forward(input, label)


class DownBlock(nn.Module):
    """x -> shortcut(x) + pool(conv(relu(conv(relu(x))))): half the pixels where ``pools``, else as many.

    The ``first`` block reads images and has no ReLU before its first convolution. The shortcut pools and then
    convolves 1x1; the other order gives the same numbers at four times the cost.
    """

    def __init__(self, inputs: int, outputs: int, *, pools: bool, first: bool = False):
        super().__init__()
        pool = [nn.AvgPool2d(2)] if pools else []
        self.branch = nn.Sequential(
            *([] if first else [nn.ReLU()]),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            *pool,
        )
        self.shortcut = nn.Sequential(*pool, *([nn.Conv2d(inputs, outputs, 1)] if pools else []))

    def forward(self, data: Tensor) -> Tensor:
        return self.shortcut(data) + self.branch(data)


class ResnetGenerator(Conditional):
    """Residual, deep: latents (N, latent) to images (N, channels, size, size) in (-1, 1).

    A linear layer to ``width`` channels at 4x4, one residual block with BatchNorm per doubling, then BatchNorm, ReLU,
    convolution 3x3, tanh; weights start Xavier-uniform. With the defaults 4,079,363 weights at 32 pixels, in the layout
    of the authors' code (Lookahead-minmax, said there to be the SVRE paper's), and 5,260,547 at 64, with one more
    block. With ``classes``, BatchNorm has a scale and a shift per class.
    """

    def __init__(
        self,
        *,
        size: Size = 32,
        channels: fields.PositiveInt = 3,
        latent: fields.PositiveInt = 128,
        width: fields.PositiveInt = 256,
        init: Init = "xavier",
        classes: fields.PositiveInt | None = None,
    ):
        super().__init__()
        check_arguments(ResnetGenerator, locals())
        self.classes = classes
        self.layers = Labelled(
            nn.Linear(latent, width * 16),
            nn.Unflatten(1, (width, 4, 4)),
            *(UpBlock(width, classes) for _ in range(_DOUBLINGS[size])),
            *(batch_norm(width, classes), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()),
        )
        initialise(self, init)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        self.expect(label)
        return self.layers(latent, label)


class ResnetCritic(ProjectionCritic):
    """Residual, deep: images (N, channels, size, size) to scores (N,).

    Residual blocks of ``width`` channels with spectral norm, the first of which halve the pixels down to 8x8 and the
    last two of which keep them, then ReLU, the mean over pixels, and a linear layer; every weight has spectral norm.
    With the defaults 4 blocks and 1,053,825 weights at 32 pixels, in the layout of the authors' code (see
    ``ResnetGenerator``), and 5 blocks and 1,365,505 weights at 64. With ``classes``, phi is that mean.
    """

    def __init__(
        self,
        *,
        size: Size = 32,
        channels: fields.PositiveInt = 3,
        width: fields.PositiveInt = 128,
        init: Init = "xavier",
        classes: fields.PositiveInt | None = None,
    ):
        super().__init__()
        check_arguments(ResnetCritic, locals())
        halvings = _DOUBLINGS[size] - 1
        self.classes = classes
        self.layers = nn.Sequential(
            DownBlock(channels, width, pools=True, first=True),
            *(DownBlock(width, width, pools=i < halvings) for i in range(1, halvings + 2)),
            *(nn.ReLU(), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(width, 1)),
        )
        initialise(self, init)
        self.projection = Projection(classes, width)
        spectral_norm(self.modules())
