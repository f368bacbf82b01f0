"""Iterations of SVRE and of stochastic extragradient, and full passes: against a restated scheme, and the floor.

    python benchmarks/steps.py --rounds 9

DCGAN-28 with BatchNorm and batch 50, SAGAN-type networks at 32 pixels with batch 64; plain steps, and no snapshot is
taken while an iteration is timed. Part of each ratio to the restated scheme is that the players share one forward pass
(the joint form of the paper's pseudo-code): the copy has as many forward passes as the scheme and wastes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
import typer
from harness import Result, compare, record
from nets import DCGAN, LR, SAGAN, Subject
from restated import Restated, Shadow, floor

from manypaths.oracles.full_batch import full_gradient
from manypaths.run.memory import keep_freed_memory

WAYS: dict[str, dict[str, Any]] = {
    "portable": {},
    "channels_last": {"memory": "channels_last"},
    "tuned kernels": {"kernels": "tuned", "memory": "channels_last"},
    "bfloat16": {"precision": "bfloat16"},
    "stored table": {"store": "game"},
    "stored table, tuned kernels": {"store": "game", "kernels": "tuned", "memory": "channels_last"},
    "stored table, bfloat16": {"store": "bfloat16", "precision": "bfloat16"},
}


def scheme(subject: Subject, kind: type[Restated], *, reduced: bool) -> Restated:
    data = subject.source()

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        sample = data.sample(subject.batch)
        return sample.real, sample.latent

    return kind(*subject.networks(), subject.objective, batch, lr=LR, reduced=reduced)


def evaluations(subject: Subject, times: int) -> Callable[[], None]:
    """The raw pieces of that many evaluations of the field."""
    generator, critic = subject.networks()
    sample = subject.source().sample(subject.batch)

    def run() -> None:
        for _ in range(times):
            floor(generator, critic, subject.objective, sample.real, sample.latent)

    return run


def iterations(subject: Subject, rounds: int, ways: list[str]) -> list[Result]:
    results = []
    for name, reduced, times in (("SVRE", True, 4), ("extragradient", False, 2)):
        theirs = scheme(subject, Restated, reduced=reduced)
        for way in ways:
            options = WAYS[way]
            if reduced or "store" not in options:
                ours = subject.training(reduced=reduced, **options)
                title = f"{subject.name}: {name} iteration, {way}"
                results.append(compare(f"{title}, against the restated scheme", ours.step, theirs.step, rounds=rounds))
        plain = subject.training(reduced=reduced)
        title = f"{subject.name}: {name} iteration, portable"
        shadow = scheme(subject, Shadow, reduced=reduced)
        results.append(compare(f"{title}, against as many forward passes", plain.step, shadow.step, rounds=rounds))
        raw = evaluations(subject, times)
        results.append(compare(f"{title}, against the floor", plain.step, raw, rounds=rounds))
    stored, eg = subject.training(reduced=True, store="game"), subject.training(reduced=False)
    title = f"{subject.name}: SVRE iteration, stored table, against our extragradient"
    return [*results, compare(title, stored.step, eg.step, rounds=rounds)]


def full_passes(subject: Subject, rounds: int, images: int = 1000) -> list[Result]:
    """The full pass, per 1,000 images, in chunks; the scheme's own chunks are of 500."""
    theirs, data, results = scheme(subject, Restated, reduced=True), subject.source(images // subject.batch), []
    chunks = [(sample.real, sample.latent) for sample in data.all(500)]
    for chunk in (subject.batch, 100, 250, 500):
        for way in ("portable", "tuned kernels"):
            game = subject.game(**WAYS[way])
            ours = lambda: full_gradient(game, data.all(chunk), equal=True)  # noqa: B023, E731
            title = f"{subject.name}: full pass of 1,000 images in chunks of {chunk}, {way}"
            found = compare(
                f"{title}, against the restated scheme", ours, lambda: theirs.full_pass(chunks), rounds=rounds
            )
            results.append(found)
            if chunk != subject.batch:
                break
    return results


def main(
    rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 9,
    threads: Annotated[int, typer.Option(help="Torch's intra-op threads.")] = torch.get_num_threads(),
    only: Annotated[str, typer.Option(help="dcgan, sagan or passes.")] = "all",
    way: Annotated[list[str], typer.Option(help="A way of computing, by its name; repeatable.")] = list(WAYS),  # noqa: B006
) -> None:
    keep_freed_memory()
    torch.set_num_threads(threads)
    if only in ("all", "dcgan"):
        record(iterations(DCGAN, rounds, way))
    if only in ("all", "passes"):
        record(full_passes(DCGAN, max(3, rounds // 3)))
    if only in ("all", "sagan"):
        record(iterations(SAGAN, rounds, way))


if __name__ == "__main__":
    typer.run(main)
