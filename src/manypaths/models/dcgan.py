"""DCGAN (Radford, Metz and Chintala 2016), from 8 to 64 pixels."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from manypaths import fields
from manypaths.fields import check_arguments
from manypaths.models.labels import AddedLabel, Conditional, Projection, ProjectionCritic
from manypaths.models.layers import CriticNorm, Init, Norm, initialise, norm_layer, spectral_norm

Size = Literal[8, 14, 28, 32, 64]

# Per layer: (kernel, stride, padding) and the width multiplier of its output; 0 is the images, or the score.
_UP = {
    8: [(2, 1, 0, 4), (4, 2, 1, 2), (4, 2, 1, 0)],
    14: [(3, 1, 0, 4), (3, 2, 0, 2), (4, 2, 1, 0)],
    28: [(3, 1, 0, 4), (4, 2, 1, 2), (4, 2, 0, 1), (4, 2, 1, 0)],
    32: [(4, 1, 0, 4), (4, 2, 1, 2), (4, 2, 1, 1), (4, 2, 1, 0)],
    64: [(4, 1, 0, 8), (4, 2, 1, 4), (4, 2, 1, 2), (4, 2, 1, 1), (4, 2, 1, 0)],
}
_DOWN = {
    8: [(4, 2, 1, 1), (4, 2, 1, 2), (2, 1, 0, 0)],
    14: [(4, 2, 1, 2), (4, 2, 1, 4), (3, 1, 0, 0)],
    28: [(4, 2, 1, 1), (4, 2, 1, 2), (4, 2, 1, 4), (3, 1, 0, 0)],
    32: [(4, 2, 1, 1), (4, 2, 1, 2), (4, 2, 1, 4), (4, 1, 0, 0)],
    64: [(4, 2, 1, 1), (4, 2, 1, 2), (4, 2, 1, 4), (4, 2, 1, 8), (4, 1, 0, 0)],
}


class DcganGenerator(Conditional):
    """DCGAN: latents (N, latent) to images (N, channels, size, size) in (-1, 1).

    Transposed convolutions with normalisation and ReLU between; convolutions have biases where ``norm`` is ``none``.
    With the defaults and 3 channels at 32 and 64 pixels:

    - 14: 512 at 3x3 - 256 at 7x7 - images, the next one's without its last hidden layer;
    - 28: 512 at 3x3 - 256 at 6x6 - 128 at 14x14 - images, the SVRE paper's generator; 3,215,104 weights;
    - 32: 512 at 4x4 - 256 at 8x8 - 128 at 16x16 - images; 3,677,952 weights;
    - 64: 1024 at 4x4 - 512 at 8x8 - 256 at 16x16 - 128 at 32x32 - images, the DCGAN paper's widths with kernels 4x4;
      13,117,184 weights.

    With ``classes``, the label's embedding is added to the latent.
    """

    def __init__(
        self,
        *,
        size: Size = 28,
        channels: fields.PositiveInt = 1,
        latent: fields.PositiveInt = 128,
        width: fields.PositiveInt = 128,
        norm: Norm = "batch",
        init: Init = "dcgan",
        classes: fields.PositiveInt | None = None,
    ):
        super().__init__()
        check_arguments(DcganGenerator, locals())
        layers: list[nn.Module] = []
        inputs = latent
        for kernel, stride, padding, factor in _UP[size]:
            outputs = factor * width or channels
            layers.append(nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=norm == "none"))
            layers += [*norm_layer(norm, outputs), nn.ReLU()] if factor else [nn.Tanh()]
            inputs = outputs
        self.classes = classes
        self.label = AddedLabel(classes, latent)
        self.layers = nn.Sequential(*layers)
        initialise(self, init)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        self.expect(label)
        return self.layers(self.label(latent, label)[:, :, None, None])


class DcganCritic(ProjectionCritic):
    """DCGAN: images (N, channels, size, size) to scores (N,).

    Convolutions with LeakyReLU 0.2 between, normalised from the second to the last but one; ``spectral`` divides every
    weight by its spectral norm instead. Convolutions have biases where ``norm`` is ``spectral`` or ``none``. With the
    defaults and 3 channels at 32 and 64 pixels:

    - 14: 128 at 7x7 - 256 at 3x3 - score, the next one's without its first layer;
    - 28: 64 at 14x14 - 128 at 7x7 - 256 at 3x3 - score, the SVRE paper's discriminator; 659,456 weights;
    - 32: 64 at 16x16 - 128 at 8x8 - 256 at 4x4 - score; 663,296 weights;
    - 64: 64 at 32x32 - 128 at 16x16 - 256 at 8x8 - 512 at 4x4 - score; 2,765,568 weights.

    With ``classes``, phi is the map before the last convolution.
    """

    def __init__(
        self,
        *,
        size: Size = 28,
        channels: fields.PositiveInt = 1,
        width: fields.PositiveInt = 64,
        norm: CriticNorm = "batch",
        init: Init = "dcgan",
        classes: fields.PositiveInt | None = None,
    ):
        super().__init__()
        check_arguments(DcganCritic, locals())
        layers: list[nn.Module] = []
        bias, inputs, features = norm in ("spectral", "none"), channels, channels
        for i, (kernel, stride, padding, factor) in enumerate(_DOWN[size]):
            features, outputs = inputs, factor * width or 1
            layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias))
            if factor:
                layers += [*(norm_layer(norm, outputs) if i else []), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.classes = classes
        self.layers = nn.Sequential(*layers)
        initialise(self, init)
        self.projection = Projection(classes, features)
        if norm == "spectral":
            spectral_norm(self.modules())
