"""The SVRE paper's MNIST experiment: its networks, batch, learning rates, and pixels in [0, 1] under a tanh."""

from __future__ import annotations

from typing import Any

from torch.optim import SGD, Adam

from manypaths.data.mnist import Mnist
from manypaths.games.adversarial import Adversarial
from manypaths.games.paired import PairedSource
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.uniform import Uniform
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.parts import Part
from manypaths.rules.alternating import Alternating
from manypaths.rules.extragradient import Extragradient
from manypaths.run.recipe import Recipe


def _common() -> dict[str, Any]:
    return {
        "data": Part(Mnist),
        "game": Part(
            Adversarial,
            generator=Part(DcganGenerator, size=28, latent=128, width=128, init="torch"),
            critic=Part(DcganCritic, size=28, width=64, init="torch"),
            objective=Part(NonSaturating),
        ),
        "steps": 100_000,
        "checkpoint_every": 200,
    }


def svre() -> Recipe:
    """SVRE on MNIST: the paper's DCGAN, batch 50, SGD steps of 1e-2, snapshot coin 1/n_batches, restart 0.1."""
    return Recipe(
        name="mnist-svre",
        **_common(),
        source=Part(PairedSource, latent=128, pixels="unit"),
        oracle=Part(SVRG, batch=50, refresh="svre"),
        rule=Part(Extragradient),
        bases={"critic": Part(SGD, lr=1e-2), "generator": Part(SGD, lr=1e-2)},
        averages={"uniform": Part(Uniform, restart=0.1)},
    )


def adam() -> Recipe:
    """The paper's baseline without variance reduction: alternating Adam, lr 1e-4."""
    return Recipe(
        name="mnist-adam",
        **_common(),
        source=Part(PairedSource, latent=128, latents="fresh", pixels="unit"),
        oracle=Part(Stochastic, batch=50),
        rule=Part(Alternating, order=("critic", "generator")),
        bases={name: Part(Adam, lr=1e-4, betas=(0.5, 0.999)) for name in ("critic", "generator")},
        averages={"uniform": Part(Uniform)},
    )
