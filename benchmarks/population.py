"""Many small GANs at once against the same runs one after another.

    python benchmarks/population.py --members 100 --members 1000

Generator 2-64-64-2, critic 2-64-64-1, batch 64, non-saturating losses, simultaneous steps of Adam. Rounds of both are
interleaved; printed is the median of the per-round ratios (time per member and step, alone / in the population) with
its range. The runs alone are a sample of the members: their cost is the same for each.

Both sides run with glibc told to keep freed memory (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_): by default it
gives the blocks of a stack back to the kernel in every step, and a third of the time goes into page faults.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer

from manypaths import (
    Adversarial,
    Bases,
    MlpCritic,
    MlpGenerator,
    NonSaturating,
    PairedSource,
    Population,
    PopulationSource,
    Simultaneous,
    Stochastic,
    Training,
)
from manypaths.randomness import generator_for

ALONE = 10
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_MMAP_THRESHOLD_": "1000000000"}


def gan(seed: int) -> Adversarial:
    torch.manual_seed(seed)
    generator, critic = MlpGenerator(latent=2, hidden=(64, 64)), MlpCritic(hidden=(64, 64))
    return Adversarial(generator, critic, objective=NonSaturating())


REAL = torch.randn(2_000, 2, generator=generator_for(0, "data"))


def data(seed: int) -> PairedSource:
    return PairedSource(REAL, latent=2, seed=seed)


def training(game: Adversarial | Population, source: PairedSource | PopulationSource) -> Training:
    bases = Bases({n: torch.optim.Adam(game.parameters(n), lr=1e-3, fused=True) for n in game.players})
    return Training(game, Stochastic(source, batch=64), Simultaneous(), bases)


def seconds(step: Callable[[], object], steps: int) -> float:
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - started) / steps


def main(
    members: Annotated[list[int], typer.Option(help="Sizes of the population; repeatable.")] = [100, 1000],  # noqa: B006
    rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 9,
    threads: Annotated[int, typer.Option(help="Torch's intra-op threads.")] = torch.get_num_threads(),
    chunk: Annotated[int, typer.Option(help="Members evaluated at once.")] = 128,
) -> None:
    if not KEEP_MEMORY.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP_MEMORY})
    torch.set_num_threads(threads)
    alone = [training(gan(i), data(i)) for i in range(ALONE)]
    for n in members:
        together = training(Population.of(gan, n, chunk=chunk), PopulationSource.of(data, n))
        steps = max(1, 300 // n)
        together.step(), [t.step() for t in alone]
        ratios, costs = [], []
        for _ in range(rounds):
            single = statistics.mean(seconds(t.step, 3) for t in alone)
            stacked = seconds(together.step, steps) / n
            ratios.append(single / stacked)
            costs.append((single, stacked))
        single, stacked = (statistics.median(c) * 1e3 for c in zip(*costs, strict=True))
        print(
            f"{n} members, {threads} threads: {statistics.median(ratios):.1f} times ({min(ratios):.1f} to "
            f"{max(ratios):.1f}), {stacked:.3f} against {single:.2f} ms per member and step"
        )


if __name__ == "__main__":
    typer.run(main)
