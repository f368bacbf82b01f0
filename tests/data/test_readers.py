"""Official files and arrays: values, truncation, and what a mistake is told."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tiny_files
import torch

from manypaths.data.array import Array
from manypaths.data.cifar10 import Cifar10
from manypaths.data.imagenet import ImageNet
from manypaths.data.svhn import Svhn
from manypaths.data.torch_dataset import TorchDataset
from manypaths.errors import InputError


def message(make) -> str:
    with pytest.raises(InputError) as caught:
        make().load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_cifar10_binaries(small) -> None:
    tiny_files.cifar10(small)
    data = Cifar10().load()
    assert torch.equal(data.real[8], torch.from_numpy(tiny_files.pixels(8, 3072, seed=1)[0]).reshape(3, 32, 32))
    assert data.labels[:9].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 1]
    assert data.note == ""
    folder = small / "cifar10" / "cifar-10-batches-bin"
    third = (folder / "data_batch_3.bin").read_bytes()
    (folder / "data_batch_3.bin").write_bytes(third[:-1])
    assert "data_batch_3.bin has 24,583 bytes: expected 24,584 (8 records of 3,073)" in message(Cifar10)
    (folder / "data_batch_3.bin").write_bytes(b"\x0b" + third[1:])
    assert "has labels from 0 to 11: expected 0 to 9" in message(Cifar10)
    (folder / "data_batch_3.bin").unlink()
    assert "expected data_batch_3.bin beside data_batch_1.bin" in message(Cifar10)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_cifar10_parquet_says_when_it_went_through_jpeg(home, kind) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    images = tiny_files.pixels(12, 32, 32, 3)
    (home / "cifar10" / "plain_text").mkdir(parents=True)
    path = home / "cifar10" / "plain_text" / "train-00000-of-00001.parquet"

    def write(encoded) -> None:
        import pyarrow

        rows = [{"bytes": picture, "path": None} for picture in encoded]
        parquet.write_table(pyarrow.table({"img": rows, "label": [*range(10), 0, 1]}), path, row_group_size=5)

    write([tiny_files.encoded(image, kind) for image in images])
    data = Cifar10(held_out=2).load()
    assert torch.equal(data.real, torch.from_numpy(images).permute(0, 3, 1, 2)[:10]) == (kind == "PNG")
    assert data.labels.tolist() == list(range(10))
    assert ("went through JPEG" in data.note) == (kind == "JPEG")
    write([*(tiny_files.encoded(image, kind) for image in images[1:]), tiny_files.encoded(images[0][:30], kind)])
    assert "img of row 11 is colour, 32x30: expected colour, 32x32, as all of cifar10" in message(Cifar10)
    write([*(tiny_files.encoded(image, kind) for image in images[1:]), tiny_files.encoded(images[0, :, :, 0], kind)])
    assert "img of row 11 is grey, 32x32: expected colour, 32x32" in message(Cifar10)
    path.write_bytes(path.read_bytes()[:100])
    assert "is not a readable parquet file" in message(Cifar10)


def test_svhn_counts_ten_as_zero_and_adds_extra(home) -> None:
    tiny_files.svhn(home)
    data = Svhn(extra=True, held_out=1).load()
    assert len(data) == 23
    assert data.labels[:12].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    assert torch.equal(data.real[5], torch.from_numpy(tiny_files.pixels(32, 32, 3, 12)[..., 5]).permute(2, 0, 1))
    path = home / "svhn" / "train_32x32.mat"
    path.write_bytes(path.read_bytes()[:500])
    assert "train_32x32.mat is not a readable .mat file" in message(Svhn)


def test_svhn_without_scipy_names_the_extra(home, monkeypatch) -> None:
    tiny_files.svhn(home)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    assert message(Svhn).endswith("needs scipy: pip install 'manypaths[data]'")


def test_imagenet_runs_through_its_batches(home) -> None:
    tiny_files.imagenet(home, 64)
    data = ImageNet(size=64, held_out=3).load()
    assert data.real.shape == (37, 3, 64, 64)
    assert torch.equal(data.real[9], torch.from_numpy(tiny_files.pixels(4, 3 * 64 * 64, seed=2)[1]).reshape(3, 64, 64))
    assert data.labels[8:12].tolist() == [2, 302, 602, 902]
    path = home / "imagenet64" / "train_data_batch_4.npz"
    path.write_bytes(path.read_bytes()[:5000])
    assert "train_data_batch_4.npz is not a readable .npz file" in message(lambda: ImageNet(size=64))
    path.unlink()
    assert "expected train_data_batch_4.npz (the npz archives" in message(lambda: ImageNet(size=64))


IMAGES = tiny_files.pixels(20, 3, 6, 5)
LABELS = np.arange(20) % 4


def save_safetensors(path, arrays) -> None:
    from safetensors.numpy import save_file

    save_file(arrays, path)


@pytest.mark.parametrize(
    ("name", "save", "settings"),
    [
        ("a.npy", lambda path, a: np.save(path, a["x"]), {}),
        ("a.npz", lambda path, a: np.savez_compressed(path, **a), {"images": "x", "labels": "y"}),
        ("a.pt", lambda path, a: torch.save({k: torch.from_numpy(v) for k, v in a.items()}, path), {"labels": "y"}),
        ("a.safetensors", save_safetensors, {"images": "x", "labels": "y"}),
    ],
)
@pytest.mark.parametrize("layout", ["first", "last"])
def test_arrays_of_every_format_are_the_same_images(home, name, save, settings, layout) -> None:
    images = IMAGES if layout == "first" else np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1))
    save(home / name, {"x": images, "y": LABELS})
    data = Array(path=str(home / name), **settings).load()
    assert torch.equal(data.real, torch.from_numpy(IMAGES))
    assert settings == {} or data.labels.tolist() == LABELS.tolist()
    if name == "a.npy":
        np.save(home / "y.npy", LABELS)
        assert Array(path=str(home / name), labels=str(home / "y.npy")).load().labels.tolist() == LABELS.tolist()
    (home / name).write_bytes((home / name).read_bytes()[:-300])
    assert f"{name} is not a readable" in message(lambda: Array(path=str(home / name), **settings))


def test_grey_images_and_points_are_arrays_too(home) -> None:
    np.save(home / "grey.npy", IMAGES[:, 0])
    assert Array(path=str(home / "grey.npy")).load().real.shape == (20, 1, 6, 5)
    np.save(home / "points.npy", np.linspace(0, 1, 12).reshape(6, 2))
    points = Array(path=str(home / "points.npy"), test=0.5).load().real
    assert points.dtype == torch.float32
    assert points.shape[1] == 2


@pytest.mark.parametrize(
    ("array", "settings", "expected"),
    [
        (IMAGES * 2.0, {}, "holds float64 of shape (20, 3, 6, 5), values from 0 to 510: set range to what black"),
        (tiny_files.pixels(4, 3, 5, 3), {}, "has shape (4, 3, 5, 3): set channels to 'first' or 'last'"),
        (tiny_files.pixels(4, 4, 5, 2), {}, "has shape (4, 4, 5, 2): expected one or three channels"),
        (np.zeros(4), {}, "has shape (4,): expected (N, H, W), (N, C, H, W), (N, H, W, C) or points (N, d)"),
        (np.zeros((4, 2), dtype=np.complex64), {}, "holds complex64: expected real numbers"),
        (IMAGES, {"labels": "LABELS"}, "the labels are int64 of shape (20,): expected 20 class indices >= 0"),
        (np.array([{}]), {}, "is not a readable .npy file (Array can't be memory-mapped"),
    ],
)
def test_arrays_that_are_no_images(home, array, settings, expected) -> None:
    np.save(home / "a.npy", array)
    np.save(home / "y.npy", LABELS - 1)
    settings = {k: str(home / "y.npy") for k in settings}
    assert expected in message(lambda: Array(path=str(home / "a.npy"), **settings))


def test_an_array_file_of_several_arrays_asks_which(home) -> None:
    np.savez(home / "a.npz", images=IMAGES, other=IMAGES)
    assert "holds images, other: name the images (--set data.images=...)" in message(
        lambda: Array(path=str(home / "a.npz"))
    )
    assert "did you mean 'images'?" in message(lambda: Array(path=str(home / "a.npz"), images="image"))
    (home / "a.mat").write_bytes(b"")
    assert "has the suffix '.mat': expected one of .npy, .npz" in message(lambda: Array(path=str(home / "a.mat")))


class Floats(tiny_files.Own):
    def __getitem__(self, i: int):
        return torch.zeros(3, 4, 4), 0


class Numbers(tiny_files.Own):
    def __getitem__(self, i: int):
        return torch.full((1, 2, 2), i, dtype=torch.uint8)


def test_a_dataset_of_the_users_own(monkeypatch) -> None:
    monkeypatch.setattr(tiny_files, "Floats", Floats, raising=False)
    monkeypatch.setattr(tiny_files, "Numbers", Numbers, raising=False)
    data = TorchDataset(dataset="tiny_files:Own").load()
    assert torch.equal(data.real, torch.from_numpy(tiny_files.Own.images).permute(0, 3, 1, 2))
    assert data.labels.tolist() == [i % 5 for i in range(60)]
    assert TorchDataset(dataset="tiny_files:Numbers").load().labels is None
    assert "gives torch.float32 of shape (3, 4, 4): expected uint8" in message(
        lambda: TorchDataset(dataset="tiny_files:Floats")
    )
    assert "takes 6,480 bytes: expected at most resident_bytes, 6,479 bytes" in message(
        lambda: TorchDataset(dataset="tiny_files:Own", resident_bytes=6479)
    )
    assert (
        "dataset is 'tiny_files:Owm': module 'tiny_files' has no attribute 'Owm'; expected package.module:name"
        in message(lambda: TorchDataset(dataset="tiny_files:Owm"))
    )


class Mirrored(tiny_files.Own):
    """Mirror images by a coin, as a transform makes them."""

    def __getitem__(self, i: int):
        picture, label = super().__getitem__(i)
        return (picture.transpose(0) if torch.rand(()) < 0.5 else picture), label


def test_a_dataset_with_random_augmentation_is_not_frozen_at_its_first_draw(monkeypatch) -> None:
    monkeypatch.setattr(tiny_files, "Mirrored", Mirrored, raising=False)
    torch.manual_seed(0)
    for valid in (0.0, 0.2):
        said = message(lambda valid=valid: TorchDataset(dataset="tiny_files:Mirrored", valid=valid))
        assert "of Mirrored is another one when it is read again" in said
        assert "expected a data set without random augmentation (flip=True mirrors), or LoaderSource(" in said


def test_a_checksum_is_of_all_bytes_and_computed_once(home) -> None:
    import hashlib

    from manypaths.data.base import Data

    real = torch.from_numpy(tiny_files.pixels(3000, 1, 2, 2))
    data = Data(real)
    assert data.checksum() == hashlib.sha256(real.numpy().tobytes()).hexdigest()[:16]
    before = data.checksum()
    real.zero_()
    assert data.checksum() == before
