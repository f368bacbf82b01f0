"""Repetitions of SVRE on the game of Figure 4: side by side against one after another in a NumPy loop.

    python benchmarks/replicas.py --repetitions 5 --repetitions 1000

n = d = 100, step size 0.3, restart 0.1. The loop writes the recursion as it is defined, gradient by gradient, with the
structure A_i = e_i e_i'. Times are those of all iterations of a round, per repetition.
"""

from __future__ import annotations

import statistics
from typing import Annotated

import numpy as np
import torch
import typer
from harness import Result, command, milliseconds, record, spread

from manypaths.analytic import Coordinatewise
from manypaths.studies.bilinear_figure4.replicas import SvreReplicas

N, LR, RESTART = 100, 0.3, 0.1


def numpy_loop(game: Coordinatewise, iterations: int, rng: np.random.Generator) -> np.ndarray:
    """One repetition, as its definition reads."""
    w, count = game.start.numpy().copy(), 0
    offsets, offset = game.offsets.numpy(), game.offset.numpy()
    average, v = np.zeros_like(w), w.copy()

    def field(i: int, w: np.ndarray) -> np.ndarray:
        found = offsets[i].copy()
        found[i] += w[N + i]
        found[N + i] -= w[i]
        return found

    def full(w: np.ndarray) -> np.ndarray:
        return np.concatenate([w[N:], -w[:N]]) / N + offset

    mean = full(v)
    for _ in range(iterations):
        i, j = rng.integers(N), rng.integers(N)
        half = w - LR * (field(i, w) - field(i, v) + mean)
        w = w - LR * (field(j, half) - field(j, v) + mean)
        count += 1
        average += (w - average) / count
        if rng.random() < 1 / N:
            if rng.random() < RESTART:
                w, count = average.copy(), 0
            v, mean = w, full(w)
    return w


def main(
    repetitions: Annotated[list[int], typer.Option(help="Repetitions side by side; repeatable.")] = [5, 1000],  # noqa: B006
    rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 9,
    iterations: Annotated[int, typer.Option(help="Iterations per round.")] = 512,
    threads: Annotated[int, typer.Option(help="Torch's intra-op threads.")] = 1,
    stack: Annotated[int, typer.Option(help="Repetitions per stack: more fall out of the cache.")] = 1000,
) -> None:
    torch.set_num_threads(threads)
    game, rng = Coordinatewise(N), np.random.default_rng(0)
    results = []
    for n in repetitions:
        seeds = list(range(n))
        stacks = [SvreReplicas(game, seeds[k : k + stack], lr=LR, restart=RESTART) for k in range(0, n, stack)]
        pairs = []
        for _ in range(rounds):
            alone = milliseconds(lambda: numpy_loop(game, iterations, rng))
            together = milliseconds(lambda: [replicas.advance(iterations) for replicas in stacks])  # noqa: B023
            pairs.append((together / n, alone))
        times = (statistics.median(side) for side in zip(*pairs, strict=True))
        name = f"Figure 4's SVRE: {iterations} iterations of {n} repetitions side by side, against a NumPy loop"
        results.append(Result(name, *spread([b / a for a, b in pairs]), *times, rounds, command()))
    record(results)


if __name__ == "__main__":
    typer.run(main)
