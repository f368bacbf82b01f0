"""Two processes of one thread each, against one process with both threads: iterations of DCGAN-28, batch 50 in all.

    python benchmarks/processes.py

Each process is bound to a core, as ``taskset`` would: one that is moved about keeps the other waiting. They wait on a
pipe while the other side is timed.
"""

from __future__ import annotations

import os
import statistics
from typing import Annotated, Any

import torch
import torch.distributed as dist
import typer
from harness import Result, command, milliseconds, record, spread
from nets import DCGAN

from manypaths import SVRG, Extragradient, Stochastic, Training
from manypaths.distributed import Distributed
from manypaths.run.memory import keep_freed_memory

PORT = 29617


def training(game: Any, *, reduced: bool) -> Training:
    data = DCGAN.source()
    oracle: Any = Stochastic(data, batch=DCGAN.batch)
    if reduced:
        oracle = SVRG(data, batch=DCGAN.batch, schedule="fixed", every=1e12)
    optimizers = {name: torch.optim.SGD(game.parameters(name), lr=1e-4) for name in game.players}
    made = Training(game, oracle, Extragradient(), optimizers)
    made.step()
    return made


def work(rank: int, pipe: Any) -> None:
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank % len(cores)]})
    keep_freed_memory()
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{PORT}", rank=rank, world_size=2)
    trainings = {reduced: training(Distributed(DCGAN.game()), reduced=reduced) for reduced in (True, False)}
    pipe.send(None)
    while (reduced := pipe.recv()) is not None:
        dist.barrier()
        pipe.send(milliseconds(trainings[reduced].step, 3))
    dist.destroy_process_group()


def main(rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 9) -> None:
    keep_freed_memory()
    context = torch.multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for rank in range(2):
        here, there = context.Pipe()
        processes.append(context.Process(target=work, args=(rank, there), daemon=True))
        pipes.append(here)
        processes[-1].start()
    [pipe.recv() for pipe in pipes]
    results = []
    for reduced in (True, False):
        alone, pairs = training(DCGAN.game(), reduced=reduced), []
        for turn in range(rounds + 1):
            [pipe.send(reduced) for pipe in pipes]
            two = max(pipe.recv() for pipe in pipes)
            if turn:  # the first warms up
                pairs.append((two, milliseconds(alone.step, 3)))
            else:
                alone.step()
        kind = "SVRE" if reduced else "extragradient"
        name = f"DCGAN-28: {kind} iteration on two processes of one thread, against one process of two"
        times = (statistics.median(side) for side in zip(*pairs, strict=True))
        results.append(Result(name, *spread([one / two for two, one in pairs]), *times, rounds, command()))
    [pipe.send(None) for pipe in pipes]
    [process.join() for process in processes]
    record(results)


if __name__ == "__main__":
    typer.run(main)
