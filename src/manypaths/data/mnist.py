"""MNIST, from the four standard idx files."""

from __future__ import annotations

import gzip
import hashlib
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from manypaths import fields
from manypaths.data.base import DATA_VARIABLE, Data, DataSet, data_directory
from manypaths.data.idx import read_idx
from manypaths.errors import InvalidValue, MissingData
from manypaths.files import write_atomically

# md5 of the unpacked files of the original distribution; a gzip file's own bytes depend on who packed it.
_FILES = {
    "train": (
        ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
    ),
    "test": (
        ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
    ),
}
_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist"


@dataclass(frozen=True)
class Mnist(DataSet):
    """60,000 training and 10,000 test images of handwritten digits, 28x28 grey (LeCun, Cortes and Burges).

    Read from ``<data directory>/mnist/*-idx?-ubyte[.gz]``, downloaded once when absent and a network exists.
    ``limit`` keeps the first images only.
    """

    split: Literal["train", "test"] = "train"
    limit: fields.PositiveInt | None = None

    def __post_init__(self) -> None:
        fields.check(self)

    def reference(self) -> Mnist:
        return Mnist(split="test")

    def load(self) -> Data:
        images, labels = (read_idx(_find(name, md5)) for name, md5 in _FILES[self.split])
        if len(images) != len(labels):
            raise InvalidValue(f"MNIST {self.split}: {len(images)} images and {len(labels)} labels")
        return Data(images[: self.limit, None], labels[: self.limit].long())


def _find(name: str, md5: str) -> Path:
    folder = data_directory() / "mnist"
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            _verify(path, md5)
            return path
    return _download(folder, name)


def _verify(path: Path, md5: str) -> None:
    found = hashlib.md5(_unpacked(path), usedforsecurity=False).hexdigest()
    if found != md5:
        read_idx(path)  # says what is wrong with the form, when it is the form
        raise InvalidValue(f"{path} has md5 {found} unpacked: expected {md5}; delete it and fetch it again")


def _unpacked(path: Path) -> bytes:
    """The unpacked contents; a damaged archive is left for ``read_idx`` to describe."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return b""


def _download(folder: Path, name: str) -> Path:
    path = folder / f"{name}.gz"
    try:
        with urllib.request.urlopen(f"{_MIRROR}/{name}.gz", timeout=20) as response:
            contents = response.read()
    except (urllib.error.URLError, OSError) as error:
        names = ", ".join(f"{file}.gz" for parts in _FILES.values() for file, _ in parts)
        raise MissingData(
            f"MNIST is not in {folder} and could not be downloaded ({getattr(error, 'reason', error)}): put {names} "
            f"there, or name the directory above it with --data-dir or {DATA_VARIABLE}"
        ) from error
    write_atomically(path, contents)
    md5 = next(m for parts in _FILES.values() for file, m in parts if file == name)
    _verify(path, md5)
    return path
