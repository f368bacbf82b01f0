"""Arithmetic per second of the field of DCGAN-28, as a share of the best that this machine was seen to do.

    python benchmarks/peak.py

The best is the largest of a set of matrix products and convolutions, measured in the same rounds. ``ratio`` of a row
is the share.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from harness import Result, command, record, spread
from nets import DCGAN, SAGAN
from torch.utils.flop_counter import FlopCounterMode

from manypaths import Adversarial
from manypaths.run.memory import keep_freed_memory
from manypaths.sources import GanSample


def flops(function: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def differentiated(game: Adversarial, sample: GanSample) -> None:
    """The field in the form that the counter of operations takes: it refuses ``autograd.grad``."""
    losses = game.losses(sample, game.names())
    for name in game.players:
        losses[name].backward(inputs=game.parameters(name), retain_graph=True)
    for p in [p for name in game.players for p in game.parameters(name)]:
        p.grad = None


def speed(function: Callable[[], object], operations: int, repeats: int = 3) -> float:
    """GFLOP/s, the best of a few."""
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return operations / best / 1e9


def candidates() -> dict[str, Callable[[], object]]:
    """Large products and convolutions, in float32."""
    found: dict[str, Callable[[], object]] = {}
    for n in (1024, 2048):
        a = torch.randn(n, n)
        found[f"matrix product {n}"] = lambda a=a: a @ a
    for channels, size in ((128, 32), (256, 16)):
        x = torch.randn(32, channels, size, size).contiguous(memory_format=torch.channels_last)
        w = torch.randn(channels, channels, 3, 3).contiguous(memory_format=torch.channels_last)
        found[f"convolution {channels} at {size}"] = lambda x=x, w=w: torch.conv2d(x, w, padding=1)
    return found


def main(rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 9) -> None:
    keep_freed_memory()
    best = {name: (function, flops(function)) for name, function in candidates().items()}
    results = []
    for subject in (DCGAN, SAGAN):
        game, sample = subject.game(), subject.source().sample(subject.batch)
        field = lambda: game.gradients(sample)  # noqa: B023, E731
        field()
        operations, shares, times = flops(lambda: differentiated(game, sample)), [], []  # noqa: B023
        for _ in range(rounds):
            peak = max(speed(function, n) for function, n in best.values())
            mine = speed(field, operations)
            shares.append(mine / peak)
            times.append((operations / mine / 1e6, operations / peak / 1e6))
        name = f"{subject.name}: arithmetic per second of an evaluation, as a share of the best seen here"
        results.append(
            Result(
                name, *spread(shares), *(sorted(t)[rounds // 2] for t in zip(*times, strict=True)), rounds, command()
            )
        )
    record(results)


if __name__ == "__main__":
    typer.run(main)
