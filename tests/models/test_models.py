"""Networks: sizes, parameter counts, refusals."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidValue
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.mlp import MlpCritic, MlpGenerator


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_paper_s_networks() -> None:
    generator, critic = DcganGenerator(), DcganCritic()
    convolutions = 128 * 512 * 9 + 512 * 256 * 16 + 256 * 128 * 16 + 128 * 16
    assert count(generator) == convolutions + 2 * (512 + 256 + 128) == 3_215_104
    assert count(critic) == 64 * 16 + 64 * 128 * 16 + 128 * 256 * 16 + 256 * 9 + 2 * (128 + 256) == 659_456


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("size", [8, 28])
def test_dcgan_shapes(size, norm) -> None:
    generator = DcganGenerator(size=size, channels=3, latent=5, width=4, norm=norm)
    critic = DcganCritic(size=size, channels=3, width=4, norm=norm)
    images = generator(torch.randn(6, 5))
    assert images.shape == (6, 3, size, size)
    assert images.abs().max() <= 1
    assert critic(images).shape == (6,)


def test_mlp_shapes() -> None:
    generator, critic = MlpGenerator(latent=3, shape=(1, 4, 4), bounded=True), MlpCritic(shape=(1, 4, 4))
    assert critic(generator(torch.randn(5, 3))).shape == (5,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DcganGenerator(size=29), "DcganGenerator.size is 29"),
        (lambda: DcganCritic(width=0), "DcganCritic.width is 0: expected a number >= 1"),
        (lambda: MlpGenerator(hidden=(64, -1)), r"MlpGenerator.hidden\[1\] is -1"),
    ],
)
def test_refusals(make, message) -> None:
    with pytest.raises((InvalidValue, TypeError), match=message):
        make()
