"""The idx format of MNIST's original distribution, and data sets of four such files."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from manypaths.data.base import DATA_VARIABLE, Data, class_indices, data_directory
from manypaths.errors import InvalidValue, MissingData
from manypaths.files import write_atomically

_UNSIGNED_BYTE = 0x08
_PREFIX = {"train": "train", "test": "t10k"}
COUNTS = {"train": 60_000, "test": 10_000}
SIDE = 28


@dataclass(frozen=True)
class IdxFiles:
    """MNIST, or a set in its shape: four idx files in one folder of the data directory, or on a mirror.

    ``unpacked`` and ``packed`` are the md5 of the files by name, of their contents or of what gzip made of them. The
    latter is asked of downloads only: who packs a file anew makes other bytes of the same contents.
    """

    name: str
    folder: str
    mirror: str
    unpacked: Mapping[str, str] = field(default_factory=dict)
    packed: Mapping[str, str] = field(default_factory=dict)

    def part(self, name: Literal["train", "test"]) -> Data:
        """Images (N, 1, 28, 28) and labels 0 to 9 of one part, checked."""
        paths = [self._find(f"{_PREFIX[name]}-{what}-ubyte") for what in ("images-idx3", "labels-idx1")]
        images, labels = (read_idx(path) for path in paths)
        count = COUNTS[name]
        for path, found, shape in ((paths[0], images, (count, SIDE, SIDE)), (paths[1], labels, (count,))):
            if found.shape != shape:
                raise InvalidValue(f"{path} has shape {tuple(found.shape)}: expected {shape}")
        return Data(images[:, None], class_indices(labels, 10, paths[1]))

    def _find(self, name: str) -> Path:
        folder = data_directory() / self.folder
        for path in (folder / name, folder / f"{name}.gz"):
            if path.exists():
                contents = path.read_bytes()
                if wrong := _wrong(_unpacked(contents) if path.suffix == ".gz" else contents, self.unpacked.get(name)):
                    read_idx(path)  # says what is wrong with the form, when it is the form
                    raise InvalidValue(f"{path} has {wrong}; delete it and fetch it again")
                return path
        return self._download(folder, name)

    def _download(self, folder: Path, name: str) -> Path:
        path, address = folder / f"{name}.gz", f"{self.mirror}/{name}.gz"
        try:
            with urllib.request.urlopen(address, timeout=20) as response:
                contents = response.read()
        except (urllib.error.URLError, OSError) as error:
            names = ", ".join(f"{file}.gz" for file in {**self.unpacked, **self.packed})
            raise MissingData(
                f"{self.name} is not in {folder} and could not be downloaded ({getattr(error, 'reason', error)}): put "
                f"{names} there, or name the directory above it with --data-dir or {DATA_VARIABLE}"
            ) from error
        wrong = _wrong(contents, self.packed.get(name)) or _wrong(_unpacked(contents), self.unpacked.get(name))
        if wrong:
            raise InvalidValue(f"{address} has {wrong}; nothing was kept")
        write_atomically(path, contents)
        return path


def read_idx(path: Path) -> Tensor:
    """An idx file of unsigned bytes, plain or gzipped, as a uint8 tensor of the shape in its header.

    The header is two zero bytes, the type (0x08), the number of dimensions, and each dimension as a big-endian
    32-bit integer.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidValue(f"{path} is damaged ({error}): delete it and fetch it again") from error
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] != _UNSIGNED_BYTE:
        raise InvalidValue(f"{path} is not an idx file of unsigned bytes: it starts with {raw[:4].hex(' ')!r}")
    dimensions, start = raw[3], 4 + 4 * raw[3]
    if len(raw) < start:
        raise InvalidValue(f"{path} is truncated inside its header: {len(raw)} bytes")
    shape = struct.unpack(f">{dimensions}I", raw[4:start])
    if len(raw) - start != math.prod(shape):
        raise InvalidValue(f"{path} holds {len(raw) - start} bytes of data: expected {math.prod(shape)} for {shape}")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=start).reshape(shape)


def _wrong(contents: bytes, md5: str | None) -> str:
    """What is wrong with the contents, in words; nothing where they are as expected, or nothing is known of them."""
    found = hashlib.md5(contents, usedforsecurity=False).hexdigest()
    return "" if md5 in (None, found) else f"md5 {found}: expected {md5}"


def _unpacked(packed: bytes) -> bytes:
    """The unpacked contents; a damaged archive is left for ``read_idx`` to describe."""
    try:
        return gzip.decompress(packed)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return b""
