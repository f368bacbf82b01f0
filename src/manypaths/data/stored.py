"""Images on disk, decoded into one tensor: resident within a budget, else decoded once and memory-mapped."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from manypaths.data.base import BLOCK, Data, Digest, data_directory
from manypaths.errors import InvalidValue
from manypaths.files import atomic_file, plain_name, remove_leftovers, write_atomically

RESIDENT_BYTES = 4 * 2**30
"""The default of ``resident_bytes``: larger sets of images are mapped from a file."""

MANY_ENCODED = 5_000
"""Above so many JPEGs or PNGs the decoded pixels are kept on disk even when they fit into memory: a picture takes about
0.1 ms (32x32) to 1 ms (178x218) to decode, minutes for a large set, and its pixels microseconds to read back."""

_LAYOUT = 1  # of the cache; a change here decodes everything again
_STALE = 3600.0  # seconds after which an unfinished file cannot be a living writer's


@dataclass(frozen=True)
class About:
    """What decoding will give: the shape of one image, what must be said beside numbers made with them (``note``), and
    what a user should know that reading them decided (``notes``)."""

    shape: tuple[int, int, int]
    note: str = ""
    notes: tuple[str, ...] = ()


class Images(ABC):
    """A part of a data set that is still on disk.

    Attributes:
        name: what the file in the cache is called.
        labels: (N,) class indices, or ``None``.
        made_of: all that decides the pixels, JSON-ready: files with their sizes and times, and settings.
        decoding: its version; a change in how the same files become pixels takes the next number.
        encoded: whether an image is a JPEG or the like, so that decoding costs time.
        resident_bytes: the budget.
    """

    name: str
    labels: Tensor | None = None
    made_of: Any
    encoded: bool = False
    decoding: int = 1
    resident_bytes: int = RESIDENT_BYTES

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def about(self, rows: Tensor) -> About:
        """Look at these rows without decoding them; whatever is wrong with them is said here where it can be."""

    @abstractmethod
    def read(self, start: int, stop: int) -> Tensor:
        """Decode adjacent rows, uint8 of shape (stop - start, C, H, W); asked for in ascending order."""

    def take(self, rows: slice | Tensor) -> Data:
        """Some rows, in ascending order, resident or mapped: the same values either way."""
        index = torch.arange(len(self))[rows]
        if not len(index):
            raise InvalidValue(f"{self.name} has no images: expected at least one")
        labels = None if self.labels is None else self.labels[rows]
        cached = self._cached(index)
        if (found := _opened(cached, self.resident_bytes, labels)) is not None:
            return found
        about = self.about(index)
        size = len(index) * math.prod(about.shape)
        if size <= self.resident_bytes and not self._worth_keeping(index, cached.parent):
            real = torch.empty(len(index), *about.shape, dtype=torch.uint8)
            done = 0
            for block in self._blocks(index):
                real[done : done + len(block)] = block
                done += len(block)
            return Data(real, labels, about.note, notes=about.notes)
        _require_space(cached.parent, size, self.name)
        self._decode(index, about, cached)
        found = _opened(cached, self.resident_bytes, labels)
        assert found is not None
        return found

    def _blocks(self, index: Tensor) -> Iterator[Tensor]:
        for rows in index.split(BLOCK):
            start, stop = int(rows[0]), int(rows[-1]) + 1
            block = self.read(start, stop)
            yield block if len(rows) == stop - start else block[rows - start]

    def _cached(self, index: Tensor) -> Path:
        rows = hashlib.sha256(index.numpy().tobytes()).hexdigest()
        version = [_LAYOUT] if self.decoding == 1 else [_LAYOUT, self.decoding]
        made_of = json.dumps([*version, self.made_of, rows], sort_keys=True)
        return (
            data_directory()
            / "cache"
            / f"{plain_name(self.name)}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.u8"
        )

    def _worth_keeping(self, index: Tensor, folder: Path) -> bool:
        return self.encoded and len(index) > MANY_ENCODED and _writable(folder)

    def _decode(self, index: Tensor, about: About, path: Path) -> None:
        """Block by block into a file that is whole or absent; its card comes last and makes it count."""
        remove_leftovers(path.parent, older_than=_STALE)
        digest = Digest()
        with atomic_file(path) as file:
            for block in self._blocks(index):
                digest.update(block)
                file.write(block.contiguous().numpy().tobytes())
        said = {"note": about.note, "notes": about.notes}
        card = {"shape": [len(index), *about.shape], "checksum": digest.text(), **said, "set": self.name}
        write_atomically(path.with_suffix(".json"), json.dumps(card, indent=2) + "\n")


def _opened(path: Path, resident_bytes: int, labels: Tensor | None) -> Data | None:
    """What an earlier decoding left: read into memory within the budget, mapped above it."""
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        size = math.prod(card["shape"])
        if path.stat().st_size != size:
            return None
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return None
    mapped = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).reshape(card["shape"])
    digest = Digest()
    for block in mapped.split(BLOCK):
        digest.update(block)
    if digest.text() != card["checksum"]:
        warnings.warn(f"{path} is damaged, its checksum is wrong: the images are decoded again", stacklevel=2)
        return None
    real = mapped.clone() if size <= resident_bytes else mapped
    return Data(real, labels, card["note"], card["checksum"], tuple(card.get("notes", ())))


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or in what exists of the path to it."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(existing, os.W_OK | os.X_OK)


def _require_space(folder: Path, size: int, name: str) -> None:
    if not _writable(folder):
        raise InvalidValue(
            f"{name} takes {gigabytes(size)} decoded, more than resident_bytes, and {folder} cannot be written: "
            "expected a larger resident_bytes (--set data.resident_bytes=...), or a data directory that can be"
        )
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if (free := shutil.disk_usage(existing).free) < size:
        raise InvalidValue(f"{name} takes {gigabytes(size)} decoded and {folder} has {gigabytes(free)} free: make room")


def gigabytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 // 10 else f"{size:,} bytes"


def stamp(path: Path) -> list[Any]:
    """A file's name, size and time of change: what the pixels made from it are remembered by."""
    status = path.stat()
    return [path.name, status.st_size, status.st_mtime_ns]
