"""Pieces that networks share: normalisation, self-attention, initial weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import Module
from torch.nn.utils import parametrizations

__all__ = ["CriticNorm", "Init", "Module", "Norm", "SelfAttention", "initialise", "norm_layer", "spectral_norm"]

Norm = Literal["batch", "layer", "none"]
CriticNorm = Literal["batch", "layer", "spectral", "none"]
"""What follows a hidden convolution, or, ``spectral``, what every weight is divided by.

A gradient penalty is per sample, and BatchNorm mixes samples: use one of the others under it.
"""

Init = Literal["dcgan", "torch", "xavier", "orthogonal"]
"""N(0, 0.02^2) as in the DCGAN paper; what torch's layers do on their own; uniform with variance 2 / (fan_in + fan_out)
(Glorot and Bengio 2010), as in the code of SAGAN and of the residual networks; orthogonal (Saxe et al. 2014), as in
BigGAN. All but ``torch`` start biases at zero."""


def norm_layer(norm: CriticNorm, channels: int) -> list[nn.Module]:
    """The normalisation after a layer of ``channels`` channels: zero or one module.

    ``layer`` normalises each sample over channels and pixels, with a scale and a shift per channel. It is torch's
    GroupNorm of one group, for torch's third derivatives of LayerNorm (and of BatchNorm) are wrong.
    """
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.GroupNorm(1, channels)] if norm == "layer" else []


def spectral_norm(layers: Iterable[nn.Module]) -> None:
    """W <- W / sigma(W) in every linear layer, convolution and embedding among ``layers`` (Miyato et al. 2018).

    sigma is u'Wv after one power iteration from the vectors in the layer's buffers. Within ``Game.gradients`` there is
    one iteration per evaluation, and it is kept where the evaluation moves buffers. Initialise weights before: the
    vectors start from 15 iterations on them.
    """
    for layer in list(layers):
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)):
            parametrizations.spectral_norm(layer)


class SelfAttention(nn.Module):
    """y_i = x_i + gamma sum_j softmax_j(q_i'k_j) v_j over the positions i, j of a map (Zhang et al. 2019, SAGAN).

    1x1 convolutions make queries and keys of C / 8 channels and values of C; gamma starts at 0. Plain matrix products:
    torch's fused attention has no second derivative on the CPU, which a gradient penalty needs.
    """

    def __init__(self, channels: int):
        super().__init__()
        inner = max(1, channels // 8)
        self.query, self.key = nn.Conv2d(channels, inner, 1), nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, data: Tensor) -> Tensor:
        query, key, value = (layer(data).flatten(2) for layer in (self.query, self.key, self.value))
        weights = torch.bmm(query.transpose(1, 2), key).softmax(-1)
        # weights on the left: their gradient then comes in the order in memory that softmax's backward pass wants
        mixed = torch.bmm(weights, value.transpose(1, 2)).transpose(1, 2)
        return data + self.gamma * mixed.reshape(data.shape)


_WEIGHTS = {
    "dcgan": lambda weight: nn.init.normal_(weight, 0.0, 0.02),
    "xavier": nn.init.xavier_uniform_,
    "orthogonal": nn.init.orthogonal_,
}


def initialise(module: nn.Module, init: Init) -> None:
    """Fill linear layers and convolutions from torch's global generator; BatchNorm scales start around 1 in DCGAN."""
    if init == "torch":
        return
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            _WEIGHTS[init](layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and layer.affine and init == "dcgan":
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
