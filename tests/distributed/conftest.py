"""Functions on several processes."""

from __future__ import annotations

import socket

import pytest
import torch
import torch.multiprocessing as mp


@pytest.fixture(scope="module")
def on_processes(tmp_path_factory):
    """Calls ``work(rank, address, path)`` on so many processes; what each saved as ``path/rank.pt``."""

    def start(work, processes: int) -> list[dict]:
        path = tmp_path_factory.mktemp("ranks")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        mp.start_processes(work, (f"tcp://127.0.0.1:{port}", str(path)), nprocs=processes, start_method="forkserver")
        return [torch.load(path / f"{rank}.pt", weights_only=True) for rank in range(processes)]

    return start
