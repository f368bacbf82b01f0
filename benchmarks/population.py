"""Many small GANs at once against the same runs one after another.

    python benchmarks/population.py --members 100 --members 1000

Generator 2-64-64-2, critic 2-64-64-1, batch 64, non-saturating losses, simultaneous steps of Adam. The runs alone are
ten of the members, asked again until as many steps are taken: their cost is the same for each.

Both sides run with glibc told to keep freed memory (``manypaths.run.memory``): by default it gives the blocks
of a stack back to the kernel in every step, and a third of the time goes into page faults.
"""

from __future__ import annotations

from typing import Annotated

import torch
import typer
from harness import compare, record

from manypaths import (
    Adversarial,
    NonSaturating,
    Optimizers,
    PairedSource,
    Population,
    Simultaneous,
    Stochastic,
    Training,
)
from manypaths.models import MlpCritic, MlpGenerator
from manypaths.populations import PopulationSource
from manypaths.randomness import generator_for
from manypaths.run.memory import keep_freed_memory

ALONE = 10


def gan(seed: int) -> Adversarial:
    torch.manual_seed(seed)
    generator, critic = MlpGenerator(latent=2, hidden=(64, 64)), MlpCritic(hidden=(64, 64))
    return Adversarial(generator, critic, objective=NonSaturating())


REAL = torch.randn(2_000, 2, generator=generator_for(0, "data"))


def data(seed: int) -> PairedSource:
    return PairedSource(REAL, latent=2, seed=seed)


def training(game: Adversarial | Population, source: PairedSource | PopulationSource) -> Training:
    optimizers = Optimizers({n: torch.optim.Adam(game.parameters(n), lr=1e-3, fused=True) for n in game.players})
    return Training(game, Stochastic(source, batch=64), Simultaneous(), optimizers)


def main(
    members: Annotated[list[int], typer.Option(help="Sizes of the population; repeatable.")] = [100, 1000],  # noqa: B006
    rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 9,
    threads: Annotated[int, typer.Option(help="Torch's intra-op threads.")] = torch.get_num_threads(),
    chunk: Annotated[int, typer.Option(help="Members evaluated at once.")] = 128,
) -> None:
    keep_freed_memory()
    torch.set_num_threads(threads)
    alone = [training(gan(i), data(i)) for i in range(ALONE)]
    results = []
    for n in members:
        together = training(Population.of(gan, n, chunk=chunk), PopulationSource.of(data, n))
        one_by_one = lambda: [t.step() for _ in range(n // ALONE) for t in alone]  # noqa: B023, E731
        name = f"population: a step of each of {n} small GANs, against one after another"
        results.append(compare(name, together.step, one_by_one, rounds=rounds))
    record(results)


if __name__ == "__main__":
    typer.run(main)
