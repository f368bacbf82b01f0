"""The mean over the processes of one machine, through memory that all of them see instead of its network."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

PLACE = Path("/dev/shm")
TOKEN = 64
"""Bytes in front, by which a process knows the file; and the alignment of its rows."""
AT_ONCE = 1 << 17
"""Numbers that are handled together, so that they are still in the cache when they are read again."""


class SharedMemory:
    """Averages tensors of processes on one machine, faster than gloo through the loopback device.

    Each of the k processes answers for one of k equal parts of all numbers: (1) every process writes x_r / k of the
    others' parts where their owners find them, (2) the owner sums up its part, (1/k) sum_r x_r, and lays it down, and
    (3) everybody reads the others' parts: equal to the bit on every process. At each of the two rendezvous nobody goes
    on before all have come, so that nothing is overwritten that is still to be read.

    The memory is a file in ``/dev/shm`` whose name is gone as soon as all have opened it, so that nothing is left
    when a process is killed later. For k processes it takes k times the memory of what is averaged. Where there is no
    such place, no room in it or a process on another machine, ``mean_`` declines on every process alike.

    Args:
        group: the processes, of a backend that carries CPU tensors.
    """

    def __init__(self, group: dist.ProcessGroup | None = None):
        self.group = group
        self.rank, self.processes = dist.get_rank(group), dist.get_world_size(group)
        self._rows: Tensor | None = None
        self._declines = False

    def __getstate__(self) -> dict[str, Any]:
        """A copy opens memory of its own: a copy of the rows would be nobody else's."""
        return {**vars(self), "_rows": None}

    @torch.no_grad()
    def mean_(self, tensors: Sequence[Tensor]) -> bool:
        """Overwrite CPU tensors of one dtype by their means over the processes; ``False`` where that cannot be."""
        if not tensors or self.processes == 1:
            return True
        dtype, numbers = tensors[0].dtype, sum(t.numel() for t in tensors)
        part = -(-numbers // self.processes)
        size = -(-part * dtype.itemsize // TOKEN) * TOKEN
        if not self._declines and (self._rows is None or self._rows.shape[-1] < size):
            self._rows = None  # given back before more is taken
            self._rows = self._opened(size)
            self._declines = self._rows is None
        if self._rows is None:
            return False
        flat = [t.reshape(-1) for t in tensors]
        parts = [_pieces(flat, part * owner, part) for owner in range(self.processes)]
        self._exchange(parts, self._rows[..., : part * dtype.itemsize].view(dtype))
        for tensor, vector in zip(tensors, flat, strict=True):
            if vector.data_ptr() != tensor.data_ptr():  # it was not contiguous
                tensor.copy_(vector.view(tensor.shape))
        return True

    def _exchange(self, parts: Sequence[Sequence[Tensor]], rows: Tensor) -> None:
        """``rows[owner][sender]`` is what a process sends to an owner, ``rows[owner][owner]`` what comes of it.

        Of two processes the owner's answer takes the place of what it was sent.
        """
        mine, others = self.rank, [r for r in range(self.processes) if r != self.rank]
        share = 1.0 / self.processes
        for owner in others:
            for piece, place in _along(parts[owner], rows[owner, mine]):
                torch.mul(piece, share, out=place)
        dist.barrier(self.group)
        for piece, *places in _along(parts[mine], *rows[mine]):
            if self.processes == 2:
                torch.add(places[others[0]], piece, alpha=share, out=piece)  # a half is exact: the sum of both
                places[others[0]].copy_(piece)  # still in the cache, and nobody else's
            else:
                torch.mul(piece, share, out=places[mine])
                torch.add(places[0], places[1], out=piece)  # in the order of ranks, whoever the owner is
                for place in places[2:]:
                    piece.add_(place)
                places[mine].copy_(piece)
        dist.barrier(self.group)
        for owner in others:
            for piece, place in _along(parts[owner], rows[owner, mine if self.processes == 2 else owner]):
                piece.copy_(place)

    def _opened(self, size: int) -> Tensor | None:
        """Rows of so many bytes, (k, k, size); ``None`` on all processes if on any."""
        token = secrets.token_bytes(TOKEN)
        total = TOKEN + self.processes**2 * size
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
        return (
            memory[TOKEN:].view(self.processes, self.processes, size) if memory is not None and everybody > 0 else None
        )


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


def _pieces(flat: Sequence[Tensor], start: int, numbers: int) -> list[Tensor]:
    """So many numbers of a list of vectors from a place on, as views of at most ``AT_ONCE``."""
    found: list[Tensor] = []
    for vector in flat:
        first, last = max(start, 0), min(start + numbers, len(vector))
        if first < last:
            found += vector[first:last].split(AT_ONCE)
        start -= len(vector)
    return found


def _along(pieces: Sequence[Tensor], *rows: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The pieces, each with its place in every row."""
    sizes = [len(piece) for piece in pieces]
    return zip(pieces, *(row[: sum(sizes)].split(sizes) for row in rows), strict=True)
