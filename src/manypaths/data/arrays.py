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
from manypaths.sources.numbers import Rows, numbers


@dataclass(frozen=True)
class StoredArray:
    """An array of which nothing but the shape and the dtype was read; ``read(start, stop)`` gives adjacent rows.

    Attributes:
        where: file and name, in words.
        shape: with the number of rows first.
        dtype: by its name, in NumPy's and torch's spelling.
        rows: adjacent rows as they are stored.
    """

    where: str
    shape: tuple[int, ...]
    dtype: str
    rows: Callable[[int, int], Rows]

    def __len__(self) -> int:
        if not self.shape:
            raise InvalidValue(f"{self.where} holds one number, an array without axes: expected one row per sample")
        return self.shape[0]

    def read(self, start: int, stop: int) -> Tensor:
        """Adjacent rows as a tensor of a dtype that torch computes with: of this machine's byte order, 16- and 32-bit
        unsigned integers as wider signed ones."""
        return numbers(self.rows(start, stop), self.where)

    def all(self) -> Tensor:
        return self.read(0, len(self))

    def everything(self) -> Rows:
        """All rows as they are stored, text included."""
        return self.rows(0, len(self))


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
    rows: Callable[[int, int], Rows] = lambda start, stop: np.array(array[start:stop], order="C")  # noqa: E731
    return {"": StoredArray(str(path), array.shape, _name(array.dtype), rows)}


def _npz(path: Path) -> dict[str, StoredArray]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
    members = {name.removesuffix(".npy"): _Member(path, name) for name in names}
    return {
        name: StoredArray(member.where, member.shape, _name(member.dtype), member.rows)
        for name, member in members.items()
    }


def _name(dtype: np.dtype[Any]) -> str:
    return "records" if dtype.names is not None else dtype.newbyteorder("=").name


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
            self.shape, fortran, self.dtype = header[version](stream)
            self._start = stream.tell()
        self._readable = not ((fortran and len(self.shape) > 1) or self.dtype.hasobject)

    def rows(self, start: int, stop: int) -> np.ndarray:
        if not self._readable:  # refused when it is asked for: other arrays of the file may be read
            raise InvalidValue(f"{self.where} holds Python objects or is stored by columns: expected numbers by rows")
        row = self.dtype.itemsize * math.prod(self.shape[1:])
        try:
            raw = self._bytes(self._start + start * row, (stop - start) * row)
        except (zlib.error, zipfile.BadZipFile, EOFError) as error:
            raise InvalidValue(f"{self.where} is damaged ({error}): fetch it again") from error
        if len(raw) != (stop - start) * row:
            raise InvalidValue(f"{self.where} ends in row {start + len(raw) // row}: expected {self.shape[0]} rows")
        return np.frombuffer(bytearray(raw), self.dtype).reshape(stop - start, *self.shape[1:])

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
    return {name: _of(tensor, f"{path}: {name}" if name else str(path)) for name, tensor in kept.items()}


def _safetensors(path: Path) -> dict[str, StoredArray]:
    from safetensors import safe_open

    file: Any = safe_open(path, "pt")
    return {name: _sliced(file.get_slice(name), f"{path}: {name}") for name in list(file.keys())}


_SAFETENSORS = {"U": "uint", "I": "int", "F": "float", "BF": "bfloat", "C": "complex"}


def _sliced(found: Any, where: str) -> StoredArray:
    kind = str(found.get_dtype())
    letters = kind.rstrip("0123456789")
    name = "bool" if kind == "BOOL" else _SAFETENSORS.get(letters, letters) + kind[len(letters) :]
    return StoredArray(where, tuple(found.get_shape()), name, lambda start, stop: found[start:stop])


def _of(tensor: Tensor, where: str) -> StoredArray:
    name = str(tensor.dtype).removeprefix("torch.")
    return StoredArray(where, tuple(tensor.shape), name, lambda start, stop: tensor[start:stop].clone())


_FORMATS: dict[str, Callable[[Path], dict[str, StoredArray]]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".pt": _pt,
    ".safetensors": _safetensors,
}
