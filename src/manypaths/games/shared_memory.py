"""The mean over the processes of one machine, through memory that all of them see instead of its network."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

PLACE = Path("/dev/shm")
MOST = 8
"""Processes: each reads what all have written, which a ring of messages spares them. Measured with two."""
TOKEN = 64
"""Bytes in front of the first slot, by which a process knows the file; and the alignment of the slots."""


class SharedMemory:
    """Averages tensors of processes on one machine, faster than gloo through the loopback device.

    Every process writes x_r / k into a slot of its own, and when all have, each sums the slots in the order of ranks:
    (1/k) sum_r x_r, equal to the bit on every process. There are two sets of slots in turn, so that whoever is ahead
    overwrites nothing that is still read.

    The memory is a file in ``/dev/shm`` whose name is gone as soon as all have opened it, so that nothing is left
    when a process is killed later. For k processes it takes 2 k times the memory of what is averaged. Where there is no
    such place, no room in it, a process on another machine, or more of them than ``MOST``, ``mean_`` declines on every
    process alike.

    Args:
        group: the processes, of a backend that carries CPU tensors.
    """

    def __init__(self, group: dist.ProcessGroup | None = None):
        self.group = group
        self.rank, self.processes = dist.get_rank(group), dist.get_world_size(group)
        self._slots: Tensor | None = None
        self._declines, self._turn = self.processes > MOST, 0

    def __getstate__(self) -> dict[str, Any]:
        """A copy opens memory of its own: a copy of the slots would be nobody else's."""
        return {**vars(self), "_slots": None, "_turn": 0}

    @torch.no_grad()
    def mean_(self, tensors: Sequence[Tensor]) -> bool:
        """Overwrite CPU tensors of one dtype by their means over the processes; ``False`` where that cannot be."""
        if not tensors or self.processes == 1:
            return True
        dtype, numbers = tensors[0].dtype, sum(t.numel() for t in tensors)
        size = -(-numbers * dtype.itemsize // TOKEN) * TOKEN
        if not self._declines and (self._slots is None or self._slots.shape[-1] < size):
            self._slots = None  # given back before more is taken
            self._slots = self._opened(size)
            self._declines = self._slots is None
        if self._slots is None:
            return False
        self._turn = 1 - self._turn
        slots = [_laid_out(slot[: numbers * dtype.itemsize].view(dtype), tensors) for slot in self._slots[self._turn]]
        for tensor, place in zip(tensors, slots[self.rank], strict=True):
            torch.mul(tensor, 1.0 / self.processes, out=place)
        dist.barrier(self.group)
        for tensor, first, second, *rest in zip(tensors, *slots, strict=True):
            torch.add(first, second, out=tensor)
            for other in rest:
                tensor.add_(other)
        return True

    def _opened(self, size: int) -> Tensor | None:
        """Two sets of slots, (2, k, size) bytes; ``None`` on all processes if on any."""
        token = secrets.token_bytes(TOKEN)
        total = TOKEN + 2 * self.processes * size
        offered: list[Any] = [_written(token, total) if self.rank == 0 else None, token]
        try:
            dist.broadcast_object_list(offered, group=self.group, group_src=0)
            name, token = offered
            memory = _mapped(name, token, total)
            everybody = torch.tensor(float(memory is not None))
            dist.all_reduce(everybody, dist.ReduceOp.MIN, group=self.group)
        finally:
            if self.rank == 0 and offered[0] is not None:
                os.unlink(offered[0])
        return memory[TOKEN:].view(2, self.processes, size) if memory is not None and everybody > 0 else None


def _mapped(name: str | None, token: bytes, total: int) -> Tensor | None:
    """The file as bytes, if it is to be seen from here."""
    if name is None:
        return None
    with contextlib.suppress(OSError, RuntimeError):
        if os.path.getsize(name) == total:  # torch would make a file that is not there
            memory = torch.from_file(name, shared=True, size=total, dtype=torch.uint8)
            return memory if bytes(memory[:TOKEN].tolist()) == token else None
    return None


def _written(token: bytes, total: int) -> str | None:
    """A file of so many bytes that begins with the token, all of them set aside; ``None`` where there is no room."""
    if not PLACE.is_dir() or not hasattr(os, "posix_fallocate"):
        return None
    with contextlib.suppress(OSError):
        descriptor, name = tempfile.mkstemp(prefix="manypaths-", dir=PLACE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, total)
                file.write(token)
        except BaseException:
            os.unlink(name)
            raise
        return name
    return None


def _laid_out(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """A vector cut into tensors of these shapes."""
    parts = flat.split([t.numel() for t in like])
    return [part.view(t.shape) for part, t in zip(parts, like, strict=True)]
