"""One run on several processes, as ``torchrun`` starts them."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from manypaths.errors import InvalidValue

PATIENCE = timedelta(hours=2)
"""How long a process waits for one that scores or writes; one that died is noticed at once."""


@dataclass(frozen=True)
class Processes:
    """This process's number among those of the run; number 0 alone writes and prints."""

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any process."""
        if self.size == 1:
            return flag
        message = torch.tensor([float(flag)], device=_device())
        dist.all_reduce(message, op=dist.ReduceOp.MAX)
        return bool(message.item())

    def wait(self) -> None:
        """Until every process is here."""
        self.any(False)


def processes() -> Processes:
    """The processes of this run: this one alone, or those that torchrun started."""
    if not dist.is_initialized():
        return Processes()
    return Processes(dist.get_rank(), dist.get_world_size())


def join(device: str) -> Processes:
    """Meet the other processes that ``torchrun`` started, if it did: over NCCL on GPUs (one each), else over gloo."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if device == "cuda":
            local, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
            if local >= there:
                raise InvalidValue(f"process {local} of this machine has no GPU: expected at most {there} processes")
            torch.cuda.set_device(local)
        dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
        atexit.register(dist.destroy_process_group)
    return processes()


def lost_another(error: BaseException) -> bool:
    """Whether this is how the end of another process looks from here."""
    words = str(error).lower()
    return processes().size > 1 and isinstance(error, RuntimeError) and ("gloo" in words or "nccl" in words)


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
