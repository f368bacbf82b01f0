"""scikit-learn's 8x8 digits: real images that need no network, trained in a minute or two on a laptop."""

from __future__ import annotations

from typing import Any

from torch.optim import SGD, Adam

from manypaths.data.digits import Digits
from manypaths.games.adversarial import Adversarial
from manypaths.games.paired import PairedSource
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.ema import EMA
from manypaths.optim.averaging.uniform import Uniform
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.parts import Part
from manypaths.penalties.r1 import R1
from manypaths.rules.alternating import Alternating
from manypaths.rules.extragradient import Extragradient
from manypaths.run.recipe import Recipe


def _common() -> dict[str, Any]:
    return {
        "data": Part(Digits),
        "game": Part(
            Adversarial,
            generator=Part(DcganGenerator, size=8, latent=32, width=32, norm="none"),
            critic=Part(DcganCritic, size=8, width=32, norm="none"),
            objective=Part(NonSaturating),
            penalties=(Part(R1, weight=1.0),),
        ),
        "noise_every": 50,
        "samples_every": 100,
    }


def svre() -> Recipe:
    """SVRE on the digits: variance-reduced extragradient, SGD steps, restarts from the average."""
    return Recipe(
        name="digits-svre",
        **_common(),
        source=Part(PairedSource, latent=32),
        oracle=Part(SVRG, batch=64, refresh="geometric"),
        rule=Part(Extragradient),
        bases={"critic": Part(SGD, lr=0.05), "generator": Part(SGD, lr=0.05)},
        averages={"uniform": Part(Uniform, restart=0.1), "ema": Part(EMA, decay=0.99)},
        steps=2000,
    )


def adam() -> Recipe:
    """The same GAN, alternating, with Adam: what most people would run."""
    return Recipe(
        name="digits-adam",
        **_common(),
        source=Part(PairedSource, latent=32, latents="fresh"),
        oracle=Part(Stochastic, batch=64),
        rule=Part(Alternating, order=("critic", "generator")),
        bases={name: Part(Adam, lr=1e-3, betas=(0.5, 0.9)) for name in ("critic", "generator")},
        averages={"ema": Part(EMA, decay=0.999)},
        steps=10_000,
    )
