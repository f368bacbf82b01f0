"""Color and Stacked MNIST: the laws that their docstrings state."""

from __future__ import annotations

import tiny_files
import torch

from manypaths.data.color_mnist import ColorMnist
from manypaths.data.mnist import Mnist
from manypaths.data.stacked_mnist import StackedMnist


def test_colours_differ_in_every_channel_and_mix_by_the_ink(small, monkeypatch) -> None:
    from manypaths.data import idx

    monkeypatch.setattr(idx, "COUNTS", {"train": 2000, "test": 16})
    digits = torch.arange(2000 * 784).reshape(2000, 1, 28, 28).remainder(256).to(torch.uint8)
    digits[:, 0, 0, 0], digits[:, 0, 0, 1] = 0, 255
    (small / "mnist").mkdir()
    (small / "mnist" / "train-images-idx3-ubyte").write_bytes(tiny_files.idx(digits[:, 0].numpy()))
    (small / "mnist" / "train-labels-idx1-ubyte").write_bytes(tiny_files.idx(torch.zeros(2000).byte().numpy()))
    images = ColorMnist().load().real
    ground, ink = images[:, :, 0, 0].double(), images[:, :, 0, 1].double()
    assert float((ink - ground).abs().min()) == 96
    assert float((ink - ground).abs().max()) == 160
    mixed = ((255 - digits.double()) * ground[:, :, None, None] + digits.double() * ink[:, :, None, None]) / 255
    assert float((images.double() - mixed).abs().max()) < 0.5
    for colour in (ground, ink):  # both are uniform: mean 127.5, deviation 73.9, so 4 deviations of the mean are 3.9
        assert float((colour.mean() - 127.5).abs()) < 3.9
    assert len(ground.unique()) == 256
    assert not torch.equal(ColorMnist(seed=1).load().real, images)


def test_stacked_digits_come_from_their_own_split_in_any_order(small) -> None:
    tiny_files.idx_files(small / "mnist")
    for split in ("train", "valid", "test"):
        digits = Mnist(split=split, held_out=10).load()
        number = {
            row.numpy().tobytes(): int(label) for row, label in zip(digits.real[:, 0], digits.labels, strict=True)
        }
        stacked = StackedMnist(split=split, held_out=10).load()
        assert stacked.real.shape == (len(digits), 3, 28, 28)
        assert int(stacked.labels.max()) < 1000
        for image, label in zip(stacked.real, stacked.labels.tolist(), strict=True):
            a, b, c = (number[channel.numpy().tobytes()] for channel in image)
            assert label == 100 * a + 10 * b + c
    assert not torch.equal(StackedMnist().load().labels, StackedMnist(seed=1).load().labels)
