"""Arrays of any real numbers as tensors that torch computes with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue

Rows = np.ndarray | Tensor

_WIDER = {"uint16": torch.int32, "uint32": torch.int64, "uint64": torch.float64}


def numbers(rows: Rows, where: str) -> Tensor:
    """As a tensor of this machine's byte order; larger unsigned integers become wider types, long doubles float64."""
    if isinstance(rows, Tensor):
        if rows.is_complex():
            raise InvalidType(f"{where} holds {rows.dtype}: expected real numbers; save real and imaginary parts")
        return rows.to(_WIDER.get(str(rows.dtype).removeprefix("torch."), rows.dtype))
    dtype = rows.dtype
    if dtype.names is not None:
        raise InvalidType(
            f"{where} holds records with the fields {', '.join(dtype.names)}: expected one array of numbers; take one "
            f"field, records[{dtype.names[0]!r}]"
        )
    if dtype.kind not in "biuf":
        raise InvalidType(f"{where} holds {dtype}: expected real numbers")
    native = dtype.newbyteorder("=")
    if native.kind == "f" and native.itemsize > 8:
        native = np.dtype(np.float64)
    found = np.ascontiguousarray(rows) if any(stride < 0 for stride in rows.strides) else rows
    if native.name in _WIDER:
        native = np.dtype(str(_WIDER[native.name]).removeprefix("torch."))
    return torch.as_tensor(found.astype(native, copy=False))


def data_tensor(data: Rows, where: str) -> Tensor:
    """Data for a source: uint8 pictures or floats, one row per sample; anything else is refused with what to do."""
    found = numbers(data, where)
    if not found.ndim or not len(found):
        raise InvalidValue(f"{where} has shape {tuple(found.shape)}: expected one row per sample, and at least one")
    if found.dtype != torch.uint8 and not found.is_floating_point():
        raise InvalidType(
            f"{where} holds {found.dtype} of shape {tuple(found.shape)}: expected uint8 images, 0 to 255, or floats; "
            "turn it to torch.uint8 or to floats in the generator's range"
        )
    return found
