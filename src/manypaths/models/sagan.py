"""The shallow networks of the SVRE paper: SAGAN (Zhang et al. 2019) on a DCGAN's convolutions."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from manypaths import fields
from manypaths.fields import check_arguments
from manypaths.models.labels import Conditional, Labelled, Projection, ProjectionCritic, batch_norm
from manypaths.models.layers import Init, SelfAttention, initialise, spectral_norm

Size = Literal[32, 64]

_FACTORS = {32: (1, 2, 4), 64: (1, 2, 4, 8)}
"""Width multipliers of the critic's hidden layers; the generator's are the same, backwards."""


class SaganGenerator(Conditional):
    """SAGAN, shallow: latents (N, latent) to images (N, channels, size, size) in (-1, 1).

    Transposed convolutions 4x4 with spectral norm, BatchNorm and ReLU; self-attention after the last two of them; a
    last one without spectral norm, and tanh. This is the layout of the SVRE authors' code (z 128, hinge loss), which
    keeps torch's own initial weights; the SAGAN authors' uses ``xavier``. With the defaults:

    - 32: 256 at 4x4 - 128 at 8x8, attention - 64 at 16x16, attention - images; 1,209,909 weights;
    - 64: 512 at 4x4 - 256 at 8x8 - 128 at 16x16, attention - 64 at 32x32, attention - images; 3,832,885 weights.

    With ``classes``, BatchNorm has a scale and a shift per class.
    """

    def __init__(
        self,
        *,
        size: Size = 32,
        channels: fields.PositiveInt = 3,
        latent: fields.PositiveInt = 128,
        width: fields.PositiveInt = 64,
        init: Init = "torch",
        classes: fields.PositiveInt | None = None,
    ):
        super().__init__()
        check_arguments(SaganGenerator, locals())
        layers: list[nn.Module] = []
        hidden: list[nn.Module] = []
        inputs, step = latent, (1, 0)
        for factor in reversed(_FACTORS[size]):
            outputs = factor * width
            hidden.append(nn.ConvTranspose2d(inputs, outputs, 4, *step))
            layers += [hidden[-1], batch_norm(outputs, classes), nn.ReLU()]
            layers += [SelfAttention(outputs)] if factor <= 2 else []
            inputs, step = outputs, (2, 1)
        self.classes = classes
        self.layers = Labelled(*layers, nn.ConvTranspose2d(inputs, channels, 4, *step), nn.Tanh())
        initialise(self, init)
        spectral_norm(hidden)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        self.expect(label)
        return self.layers(latent[:, :, None, None], label)


class SaganCritic(ProjectionCritic):
    """SAGAN, shallow: images (N, channels, size, size) to scores (N,).

    Convolutions 4x4 with spectral norm and LeakyReLU 0.1; self-attention from the third on; a last one without
    spectral norm: the layout of the SVRE authors' code. With the defaults:

    - 32: 64 at 16x16 - 128 at 8x8 - 256 at 4x4, attention - score; 745,218 weights;
    - 64: 64 at 32x32 - 128 at 16x16 - 256 at 8x8, attention - 512 at 4x4, attention - score; 3,175,299 weights.

    With ``classes``, phi is the map before the last convolution.
    """

    def __init__(
        self,
        *,
        size: Size = 32,
        channels: fields.PositiveInt = 3,
        width: fields.PositiveInt = 64,
        init: Init = "torch",
        classes: fields.PositiveInt | None = None,
    ):
        super().__init__()
        check_arguments(SaganCritic, locals())
        layers: list[nn.Module] = []
        hidden: list[nn.Module] = []
        inputs = channels
        for factor in _FACTORS[size]:
            outputs = factor * width
            hidden.append(nn.Conv2d(inputs, outputs, 4, 2, 1))
            layers += [hidden[-1], nn.LeakyReLU(0.1)]
            layers += [SelfAttention(outputs)] if factor >= 4 else []
            inputs = outputs
        self.classes = classes
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 4))
        initialise(self, init)
        self.projection = Projection(classes, inputs)
        spectral_norm(hidden)
