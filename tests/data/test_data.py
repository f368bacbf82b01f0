"""Data sets: contents, checks, messages."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import pytest
import torch

from manypaths.data.digits import Digits
from manypaths.data.fashion_mnist import FashionMnist
from manypaths.data.idx import read_idx
from manypaths.data.mnist import Mnist
from manypaths.data.mnist_14 import halved
from manypaths.data.synthetic import Ring
from manypaths.errors import InvalidValue, MissingData

REAL_MNIST = Path(os.environ.get("MANYPATHS_DATA", "")) / "mnist" / "train-images-idx3-ubyte.gz"


def test_digits() -> None:
    data = Digits().load()
    assert data.real.shape == (1797, 1, 8, 8)
    assert data.real.dtype == torch.uint8
    assert int(data.real.max()) == 255
    assert data.labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert len(Digits(split="train").load()) + len(Digits(split="test").load()) == 1797
    assert Digits().reference() == Digits(), "297 test images are too few for a score"
    assert Digits(split="train", held_out=300).reference() == Digits(split="test", held_out=300)
    with pytest.raises(InvalidValue, match="held_out is 3 and split is 'all', every image: expected 'train'"):
        Digits(held_out=3)
    with pytest.raises(InvalidValue, match="held_out is 1500: expected fewer than the 1500 images"):
        Digits(split="train", held_out=1500).load()


def test_ring_lies_on_its_circle() -> None:
    data = Ring(std=0.0, modes=8).load()
    assert (data.real.norm(dim=1) - 2).abs().max() < 1e-6
    assert torch.equal(Ring().load().real, Ring().load().real)


@pytest.mark.skipif(not REAL_MNIST.exists(), reason="needs the real MNIST files: set MANYPATHS_DATA to their directory")
def test_real_mnist() -> None:
    train, test = Mnist().load(), Mnist(split="test").load()
    assert train.real.shape == (60_000, 1, 28, 28)
    assert test.real.shape == (10_000, 1, 28, 28)
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert float(train.real.double().mean() / 255) == pytest.approx(0.1306604762738, rel=1e-9)
    assert len(Mnist(limit=100).load()) == 100


def idx(images: int, size: int = 3) -> bytes:
    return struct.pack(">HBBIII", 0, 8, 3, images, size, size) + bytes(range(images * size * size))


def test_idx_files_plain_and_gzipped(tmp_path) -> None:
    (tmp_path / "a").write_bytes(idx(2))
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(2)))
    expected = torch.arange(18, dtype=torch.uint8).reshape(2, 3, 3)
    assert torch.equal(read_idx(tmp_path / "a"), expected)
    assert torch.equal(read_idx(tmp_path / "a.gz"), expected)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (idx(2)[:-1], "holds 17 bytes of data: expected 18"),
        (idx(2)[:9], "truncated inside its header"),
        (b"PNG whatever", "is not an idx file"),
        (b"", "is not an idx file"),
    ],
)
def test_damaged_idx_files(tmp_path, contents, message) -> None:
    (tmp_path / "a").write_bytes(contents)
    with pytest.raises(InvalidValue, match=message):
        read_idx(tmp_path / "a")


def test_other_contents_fail_their_checksum(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(idx(2))
    with pytest.raises(InvalidValue, match="expected 6bbc9ace898e44ae57da46a324031adb; delete it and fetch it again"):
        Mnist().load()


def test_download_is_checked_and_atomic(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path))

    class Response:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def read(self):
            return gzip.compress(idx(2))

    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: Response())
    with pytest.raises(InvalidValue, match="expected 6bbc9ace.*nothing was kept"):
        Mnist().load()
    with pytest.raises(InvalidValue, match="expected 8d4fb7e6.*nothing was kept"):
        FashionMnist().load()
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: (_ for _ in ()).throw(OSError("no route")))
    with pytest.raises(MissingData, match=r"could not be downloaded \(no route\): put train-images"):
        Mnist().load()
    assert not list(tmp_path.iterdir())


def test_half_the_size_is_the_mean_of_two_by_two_pixels() -> None:
    image = torch.tensor([[0, 255, 10, 11], [1, 0, 10, 10], [7, 7, 0, 0], [7, 7, 0, 2]], dtype=torch.uint8)
    assert halved(image[None, None]).tolist() == [[[[64, 10], [7, 0]]]]  # 256 / 4; 41 / 4; 7; 0.5 to even
