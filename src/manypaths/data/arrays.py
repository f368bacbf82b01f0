"""Arrays in files, read some rows at a time: npy, npz, pt, safetensors."""

from __future__ import annotations

import contextlib
import math
import weakref
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue, MissingData, unknown_name


@dataclass(frozen=True)
class StoredArray:
    """An array of which nothing but the shape was read; ``read(start, stop)`` gives adjacent rows."""

    shape: tuple[int, ...]
    read: Callable[[int, int], Tensor]

    def __len__(self) -> int:
        return self.shape[0]

    def all(self) -> Tensor:
        return self.read(0, len(self))


def stored_arrays(path: Path) -> dict[str, StoredArray]:
    """The arrays of a file by their names; the one array of an ``.npy`` file is called ``""``.

    No format is read that can carry code: pickles are refused.
    """
    if not path.is_file():
        raise MissingData(f"{path} is not a file: expected one of {', '.join(_FORMATS)}")
    if path.suffix not in _FORMATS:
        raise InvalidValue(f"{path} has the suffix {path.suffix!r}: expected one of {', '.join(_FORMATS)}")
    try:
        return _FORMATS[path.suffix](path)
    except (MissingData, InvalidValue, InvalidType):
        raise
    except Exception as error:  # each format has errors of its own for a damaged file
        first = str(error).partition("\n")[0]
        raise InvalidValue(f"{path} is not a readable {path.suffix} file ({first})") from error


def chosen(arrays: dict[str, StoredArray], name: str | None, path: Path) -> StoredArray:
    """The array of that name, or the only one."""
    if name is None and len(arrays) != 1:
        raise InvalidValue(f"{path} holds {', '.join(arrays) or 'nothing'}: name the images (--set data.images=...)")
    name = next(iter(arrays)) if name is None else name
    if name not in arrays:
        raise unknown_name(f"array of {path}:", name, arrays)
    return arrays[name]


def _npy(path: Path) -> dict[str, StoredArray]:
    array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    return {"": StoredArray(array.shape, lambda start, stop: torch.from_numpy(np.array(array[start:stop], order="C")))}


def _npz(path: Path) -> dict[str, StoredArray]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
    members = {name.removesuffix(".npy"): _Member(path, name) for name in names}
    return {name: StoredArray(member.shape, member.read) for name, member in members.items()}


class _Member:
    """An array inside an npz archive, streamed: rows that are asked for in ascending order are unpacked once."""

    def __init__(self, path: Path, name: str):
        self.where, self._path, self._name = f"{path}: {name}", path, name
        self._stream: Any = None
        with zipfile.ZipFile(path) as archive, archive.open(name) as file:
            stream = cast(Any, file)
            version = np.lib.format.read_magic(stream)
            header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            if version not in header:
                raise InvalidValue(f"{self.where} has the npy version {version}: expected 1.0 or 2.0")
            self.shape, fortran, self._dtype = header[version](stream)
            self._start = stream.tell()
        if (fortran and len(self.shape) > 1) or self._dtype.hasobject:
            raise InvalidValue(f"{self.where} holds Python objects or is stored by columns: expected numbers by rows")

    def read(self, start: int, stop: int) -> Tensor:
        row = self._dtype.itemsize * math.prod(self.shape[1:])
        try:
            raw = self._bytes(self._start + start * row, (stop - start) * row)
        except (zlib.error, zipfile.BadZipFile, EOFError) as error:
            raise InvalidValue(f"{self.where} is damaged ({error}): fetch it again") from error
        if len(raw) != (stop - start) * row:
            raise InvalidValue(f"{self.where} ends in row {start + len(raw) // row}: expected {self.shape[0]} rows")
        return torch.from_numpy(np.frombuffer(bytearray(raw), self._dtype).reshape(stop - start, *self.shape[1:]))

    def _bytes(self, start: int, count: int) -> bytes:
        if self._stream is None:
            opened = contextlib.ExitStack()
            archive = opened.enter_context(zipfile.ZipFile(self._path))
            self._stream = opened.enter_context(archive.open(self._name))
            weakref.finalize(self, opened.close)
        self._stream.seek(start)
        return self._stream.read(count)


def _pt(path: Path) -> dict[str, StoredArray]:
    found = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    tensors = found if isinstance(found, dict) else {"": found}
    kept = {str(name): tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}
    return {name: _of(tensor) for name, tensor in kept.items()}


def _safetensors(path: Path) -> dict[str, StoredArray]:
    from safetensors import safe_open

    file: Any = safe_open(path, "pt")
    return {name: _sliced(file.get_slice(name)) for name in list(file.keys())}


def _sliced(found: Any) -> StoredArray:
    return StoredArray(tuple(found.get_shape()), lambda start, stop: found[start:stop])


def _of(tensor: Tensor) -> StoredArray:
    return StoredArray(tuple(tensor.shape), lambda start, stop: tensor[start:stop].clone())


_FORMATS: dict[str, Callable[[Path], dict[str, StoredArray]]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".pt": _pt,
    ".safetensors": _safetensors,
}
