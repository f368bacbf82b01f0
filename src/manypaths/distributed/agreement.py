"""Whether all processes hold the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor


def digest(tensors: Iterable[Tensor]) -> str:
    """A checksum of the contents, forms and dtypes of tensors."""
    found = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        found.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        if tensor.layout is torch.strided and tensor.numel():
            found.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def differing(mine: Mapping[str, str], group: dist.ProcessGroup | None) -> tuple[str, int] | None:
    """The first entry that is not the same everywhere, and a process where it is not that of process 0.

    Every process gets the same answer, so all of them refuse together.
    """
    everybody: list[dict[str, str]] = [{} for _ in range(dist.get_world_size(group))]
    dist.all_gather_object(everybody, dict(mine), group=group)
    first = everybody[0]
    for rank, other in enumerate(everybody):
        for name in {**first, **other}:
            if first.get(name) != other.get(name):
                return name, rank
    return None
