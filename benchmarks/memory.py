"""Peak memory of SVRE on DCGAN-28 against the sum of what must be held.

    python benchmarks/memory.py

Each case is a process of its own; the peak is what the operating system saw above the state before the first
iteration's evaluations. What must be held: the iterate, the point to return to, the snapshot, the full gradient, a
gradient at each of both points, and the tensors that two graphs save for their backward passes. ``ratio`` is the sum
over the peak; 1 is the ideal.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import Annotated

import torch
import typer
from harness import Result, command, record, spread
from nets import DCGAN


def held() -> float:
    """MiB that an iteration has to hold at once."""
    game, sample = DCGAN.game(), DCGAN.source().sample(DCGAN.batch)
    own = {p.untyped_storage().data_ptr() for name in game.players for p in game.parameters(name)}
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = game.losses(sample, game.names())
    weights = sum(p.numel() * p.element_size() for name in game.players for p in game.parameters(name))
    del losses
    return (6 * weights + 2 * sum(saved.values())) / 2**20


def grown() -> float:
    """MiB by which the peak of this process grows when iterations begin; the weights themselves included."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    training = DCGAN.training(reduced=True)
    for _ in range(5):
        training.step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def main(
    rounds: Annotated[int, typer.Option(help="Processes.")] = 3,
    child: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    if child:
        torch.conv2d(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 3, 3))  # libraries load before the count begins
        print(grown())
        return
    call = [sys.executable, __file__, "--child"]
    peaks = [float(subprocess.run(call, check=True, capture_output=True, text=True).stdout) for _ in range(rounds)]
    needed = held()
    name = "DCGAN-28: memory that SVRE must hold, as a share of the peak (MiB instead of ms)"
    record([Result(name, *spread([needed / peak for peak in peaks]), max(peaks), needed, rounds, command())])


if __name__ == "__main__":
    typer.run(main)
