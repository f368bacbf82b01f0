"""The idx format of MNIST's original distribution."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from manypaths.errors import InvalidValue

_UNSIGNED_BYTE = 0x08


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
