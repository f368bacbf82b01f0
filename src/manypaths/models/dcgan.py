"""DCGAN (Radford, Metz and Chintala 2016), in the sizes of the SVRE paper."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from manypaths import fields
from manypaths.fields import check_arguments
from manypaths.models.layers import Norm, norm_layer

Size = Literal[8, 28]
Init = Literal["dcgan", "torch"]
"""N(0, 0.02^2) weights as in the DCGAN paper, or what torch's layers do on their own."""

# Per layer: (kernel, stride, padding) and the width multiplier of the generator's output / the critic's input.
_UP = {
    8: [(2, 1, 0, 4), (4, 2, 1, 2), (4, 2, 1, 0)],
    28: [(3, 1, 0, 4), (4, 2, 1, 2), (4, 2, 0, 1), (4, 2, 1, 0)],
}
_DOWN = {
    8: [(4, 2, 1, 1), (4, 2, 1, 2), (2, 1, 0, 0)],
    28: [(4, 2, 1, 1), (4, 2, 1, 2), (4, 2, 1, 4), (3, 1, 0, 0)],
}


class DcganGenerator(nn.Module):
    """Latents (N, latent) to images (N, channels, size, size) in (-1, 1).

    At size 28 with the defaults this is the SVRE paper's generator: transposed convolutions 512 - 256 - 128 - 1,
    BatchNorm and ReLU between, no biases; 3,215,104 weights.
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
        self.layers = nn.Sequential(*layers)
        if init == "dcgan":
            _initialise(self)

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent[:, :, None, None])


class DcganCritic(nn.Module):
    """Images (N, channels, size, size) to scores (N,).

    At size 28 with the defaults this is the SVRE paper's discriminator: convolutions 64 - 128 - 256 - 1, LeakyReLU
    0.2, BatchNorm after the second and third; 659,456 weights.
    """

    def __init__(
        self,
        *,
        size: Size = 28,
        channels: fields.PositiveInt = 1,
        width: fields.PositiveInt = 64,
        norm: Norm = "batch",
        init: Init = "dcgan",
    ):
        super().__init__()
        check_arguments(DcganCritic, locals())
        layers: list[nn.Module] = []
        inputs = channels
        for i, (kernel, stride, padding, factor) in enumerate(_DOWN[size]):
            outputs = factor * width or 1
            layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=norm == "none"))
            if factor:
                layers += [*(norm_layer(norm, outputs) if i else []), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        if init == "dcgan":
            _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten()


def _initialise(module: nn.Module) -> None:
    """The DCGAN initialisation: N(0, 0.02^2) weights, BatchNorm scales around 1."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
