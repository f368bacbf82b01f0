"""Small classifiers whose features and class probabilities metrics read."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from manypaths.sources.pixels import to_float


class Classifier(nn.Module):
    """uint8 images (N, C, H, W) to features (N, num_features) and logits (N, 10)."""

    num_features: int
    body: nn.Module
    head: nn.Module

    @abstractmethod
    def __init__(self) -> None:
        super().__init__()

    def features(self, images: Tensor) -> Tensor:
        """The penultimate layer, after its ReLU."""
        return self.body(to_float(images))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


class MnistCnn(Classifier):
    """LeNet-like: convolutions 5x5 of 16 and 32 channels with max-pooling, 128 features; for 28x28 or 14x14 images."""

    num_features = 128

    def __init__(self, *, channels: int = 1, side: int = 28) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * (side // 4) ** 2, 128),
            nn.ReLU(),
        )
        self.head = nn.Linear(128, 10)


class MnistMlp(Classifier):
    """784-256-256-10 with ReLU: the shape of the SVRE authors' feature net for MNIST.

    With ``dropped``, units are dropped with that probability after each ReLU, also when the net is read: their code
    scores with its classifier in training mode, at 0.2, which lowers and blurs the scores.
    """

    num_features = 256

    def __init__(self, *, dropped: float = 0.0) -> None:
        super().__init__()
        hidden = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
        if dropped:
            hidden = [*hidden[:2], _Dropout(dropped), *hidden[2:], _Dropout(dropped)]
        self.body = nn.Sequential(nn.Flatten(), *hidden)
        self.head = nn.Linear(256, 10)


class _Dropout(nn.Dropout):
    """Dropout that is on in evaluation mode too."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, training=True)


class DigitsCnn(Classifier):
    """Convolutions 3x3 of 32 and 64 channels, one max-pooling, 64 features; for 8x8 images."""

    num_features = 64

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * 16, 64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, 10)


class CifarCnn(Classifier):
    """A small residual net for 3x32x32, 128 features: 464,170 weights, 20 million multiply-adds an image.

    Convolutions 3x3 of 32, 64 and 128 channels, each with max-pooling, BatchNorm and ReLU; a residual pair of
    convolutions at 64 channels (8x8) and at 128 (4x4); the maximum over positions. Weights are channels-last, which
    is faster on a CPU.
    """

    num_features = 128

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(3, 32, pools=True),
            *_convolution(32, 64, pools=True),
            _Residual(*_convolution(64, 64), *_convolution(64, 64)),
            *_convolution(64, 128, pools=True),
            _Residual(*_convolution(128, 128), *_convolution(128, 128)),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(128, 10)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class _Residual(nn.Sequential):
    def forward(self, input: Tensor) -> Tensor:
        return input + super().forward(input)


def _convolution(inputs: int, outputs: int, *, pools: bool = False) -> list[nn.Module]:
    """Convolution 3x3, BatchNorm and ReLU; pooled before these two, which is cheaper."""
    pool = [nn.MaxPool2d(2)] if pools else []
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), *pool, nn.BatchNorm2d(outputs), nn.ReLU()]
