"""Arrays in files, read some rows at a time: npy, npz, pt, safetensors."""

from __future__ import annotations

import math
import zipfile
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
    return {name.removesuffix(".npy"): _member(path, name) for name in names}


def _member(path: Path, name: str) -> StoredArray:
    """An array inside an npz archive, streamed: rows that are asked for in ascending order are unpacked once."""
    stream = cast(Any, zipfile.ZipFile(path).open(name))  # noqa: SIM115 (open as long as the array lives)
    version = np.lib.format.read_magic(stream)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in header:
        raise InvalidValue(f"{path}: {name} has the npy version {version}: expected 1.0 or 2.0")
    shape, fortran, dtype = header[version](stream)
    if fortran and len(shape) > 1:
        raise InvalidValue(f"{path}: {name} is stored column by column: expected C order")
    if dtype.hasobject:
        raise InvalidValue(f"{path}: {name} holds Python objects: expected numbers")
    start_of_data, row = stream.tell(), dtype.itemsize * math.prod(shape[1:])

    def read(start: int, stop: int) -> Tensor:
        stream.seek(start_of_data + start * row)
        raw = stream.read((stop - start) * row)
        if len(raw) != (stop - start) * row:
            raise InvalidValue(f"{path}: {name} ends at byte {start * row + len(raw)}: expected {shape[0] * row}")
        return torch.from_numpy(np.frombuffer(bytearray(raw), dtype).reshape(stop - start, *shape[1:]))

    return StoredArray(shape, read)


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
