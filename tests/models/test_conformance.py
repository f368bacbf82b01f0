"""Every network of the table, in its smallest size, without and with classes; and planted faults."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manypaths.models import MODELS
from manypaths.testing.networks import check_critic, check_generator

SMALLEST = {
    "mlp-generator": ({"shape": (1, 8, 8), "hidden": (8,), "bounded": True}, 8),
    "mlp-critic": ({"shape": (1, 8, 8), "hidden": (8, 8)}, 8),
    "dcgan-generator": ({"size": 8, "width": 4, "latent": 8}, 8),
    "dcgan-critic": ({"size": 8, "width": 4}, 8),
    "sagan-generator": ({"width": 4, "latent": 8, "channels": 1}, 32),
    "sagan-critic": ({"width": 4, "channels": 1}, 32),
    "resnet-generator": ({"width": 4, "latent": 8, "channels": 1}, 32),
    "resnet-critic": ({"width": 4, "channels": 1}, 32),
    "r3gan-generator": ({"size": 8, "width": 4, "latent": 8, "channels": 1}, 8),
    "r3gan-critic": ({"size": 8, "width": 4, "channels": 1}, 8),
}


def check(name, classes, **options) -> None:
    settings, size = SMALLEST[name]
    make = lambda: MODELS[name](**settings, classes=classes, **options)  # noqa: E731
    if name.endswith("generator"):
        check_generator(make, latent=8, shape=(1, size, size), classes=classes, bounded="r3gan" not in name)
    else:
        check_critic(make, shape=(1, size, size), classes=classes)


@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "mean-score"])  # wraps another network
def test_networks(name, classes) -> None:
    check(name, classes)


@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("norm", ["layer", "none", "spectral"])
def test_dcgan_norms(norm, classes) -> None:
    check("dcgan-critic", classes, norm=norm)
    if norm != "spectral":
        check("dcgan-generator", classes, norm=norm)


@pytest.mark.parametrize("init", ["torch", "xavier", "orthogonal"])
@pytest.mark.parametrize("name", ["dcgan-critic", "sagan-generator", "resnet-generator"])
def test_initial_weights(name, init) -> None:
    check(name, None, init=init)


class Faulty(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)
        self.calls = 0

    def forward(self, data):
        return self.layer(data).flatten()


class Mixes(Faulty):
    def forward(self, data):
        return super().forward(data - data.mean(0))


class Counts(Faulty):
    def forward(self, data):
        self.calls += 1
        return super().forward(data) * self.calls


class Idle(Faulty):
    def __init__(self):
        super().__init__()
        self.extra = nn.Parameter(torch.ones(2))


class Forgets(Faulty):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.rand(1), persistent=False)

    def forward(self, data):
        return super().forward(data) * self.scale


class Freezes(Faulty):
    def forward(self, data):
        return super().forward(data) * self.layer.weight.detach().norm()


class Unseeded(Faulty):
    generator = torch.Generator().manual_seed(0)

    def __init__(self):
        super().__init__()
        nn.init.normal_(self.layer.weight, generator=self.generator)


class ColumnOfScores(Faulty):
    def forward(self, data):
        return self.layer(data)


class Deaf(Faulty):
    def forward(self, data, label):
        return super().forward(data)


class Lenient(Faulty):
    def forward(self, data, label):
        return super().forward(data) + label % 3


@pytest.mark.parametrize(
    ("faulty", "classes", "complaint"),
    [
        (Mixes, None, "depends on the others of its batch"),
        (Counts, None, "two evaluations in eval mode differ"),
        (Idle, None, "extra has no effect"),
        (Forgets, None, "it misses something"),
        (ColumnOfScores, None, r"shape \(4, 1\): expected \(4,\)"),
        (Deaf, 3, "the label has no effect"),
        (Freezes, None, "the penalty's slope is"),
        (Unseeded, None, "two networks of one seed differ"),
        (Lenient, 3, "labels from 3 on were not refused"),
    ],
)
def test_faulty_networks_are_caught(faulty, classes, complaint) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_critic(faulty, shape=(4,), classes=classes)
