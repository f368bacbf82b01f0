"""Iterations of SVRE and of stochastic extragradient on DCGAN-28, against a restated scheme and against the floor.

    python benchmarks/steps.py --rounds 9

DCGAN-28 with BatchNorm, batch 50, plain steps, no snapshot taken while timing. Part of each ratio to the restated
scheme is that the players share one forward pass (the joint form of the paper's pseudo-code): the twin has as many
forward passes as the scheme and wastes nothing.
"""

from __future__ import annotations

from typing import Annotated

import torch
import typer
from harness import Result, compare, keep_memory, record
from restated import Restated, Twin, floor

from manypaths import SVRG, Adversarial, DcganCritic, DcganGenerator, Extragradient, NonSaturating, Stochastic, Training
from manypaths.games.paired import PairedSource
from manypaths.randomness import generator_for

BATCH, LATENT, LR = 50, 128, 1e-4


def source(images: int) -> PairedSource:
    shape = (images, 1, 28, 28)
    real = torch.randint(256, shape, generator=generator_for(0, "images"), dtype=torch.uint8)
    return PairedSource(real, latent=LATENT)


def networks() -> tuple[DcganGenerator, DcganCritic]:
    torch.manual_seed(0)
    return DcganGenerator(size=28, latent=LATENT), DcganCritic(size=28)


def training(*, reduced: bool) -> Training:
    game, data = Adversarial(*networks(), objective=NonSaturating()), source(4 * BATCH)
    oracle = SVRG(data, batch=BATCH, every=1e12) if reduced else Stochastic(data, batch=BATCH)
    bases = {name: torch.optim.SGD(game.parameters(name), lr=LR) for name in game.players}
    made = Training(game, oracle, Extragradient(), bases)
    made.step()  # takes the snapshot
    return made


def measure(rounds: int) -> list[Result]:
    data = source(4 * BATCH)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        sample = data.sample(BATCH)
        return sample.real, sample.latent

    results = []
    for name, reduced, evaluations in (("SVRE", True, 4), ("extragradient", False, 2)):
        ours = training(reduced=reduced)
        generator, critic = networks()
        sample = data.sample(BATCH)

        def raw(times: int = evaluations) -> None:
            for _ in range(times):
                floor(generator, critic, sample.real, sample.latent)  # noqa: B023

        for title, scheme in (("restated scheme", Restated), ("same number of forwards", Twin)):
            theirs = scheme(*networks(), batch, lr=LR, reduced=reduced)
            results.append(compare(f"{name} iteration, {title}", ours.step, theirs.step, rounds=rounds))
        results.append(compare(f"{name} iteration, floor", ours.step, raw, rounds=rounds))
    return results


def main(
    rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 9,
    threads: Annotated[int, typer.Option(help="Torch's intra-op threads.")] = torch.get_num_threads(),
) -> None:
    keep_memory()
    torch.set_num_threads(threads)
    record(measure(rounds))


if __name__ == "__main__":
    typer.run(main)
