"""Small classifiers whose features and class probabilities metrics read."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from manypaths.games.pixels import to_float


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
    """LeNet-like: convolutions 5x5 of 16 and 32 channels with max-pooling, 128 features."""

    num_features = 128

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 128),
            nn.ReLU(),
        )
        self.head = nn.Linear(128, 10)


class MnistMlp(Classifier):
    """784-256-256-10 with ReLU: the SVRE authors' feature net for MNIST."""

    num_features = 256

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
        self.head = nn.Linear(256, 10)


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
