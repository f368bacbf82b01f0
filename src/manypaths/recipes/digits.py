"""scikit-learn's 8x8 digits: real images that need no network, trained in a minute or two on a laptop."""

from __future__ import annotations

from typing import Any

from torch.optim import Adam, Optimizer

from manypaths.data.digits import Digits
from manypaths.games.adversarial import Adversarial
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.ema import EMA
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.penalties.r1 import R1
from manypaths.rules.alternating import Alternating
from manypaths.rules.extragradient import Extragradient
from manypaths.run.recipe import Recipe
from manypaths.sources.paired import PairedSource
from manypaths.specs import Spec


def _common() -> dict[str, Any]:
    return {
        "data": Spec(Digits),
        "game": Spec(
            Adversarial,
            generator=Spec(MlpGenerator, latent=32, shape=(1, 8, 8), hidden=(128, 128), bounded=True),
            critic=Spec(MlpCritic, shape=(1, 8, 8), hidden=(128, 128)),
            objective=Spec(NonSaturating),
            penalties=(Spec(R1, weight=1.0),),
        ),
        "threads": 1,  # matrices this small gain nothing from a second thread, and one is robust against other load
        "noise_every": 50,
        "samples_every": 100,
    }


def svre() -> Recipe:
    """SVRE-A on the digits: variance-reduced extragradient, Adam steps, restarts from the average."""
    return Recipe(
        name="digits-svre",
        **_common(),
        source=Spec(PairedSource, latent=32),
        oracle=Spec(SVRG, batch=32, schedule="geometric"),
        rule=Spec(Extragradient),
        optimizers=_adam(lr=2e-3),
        averages={"uniform": Spec(UniformAverage, restart=0.1), "ema": Spec(EMA, decay=0.99)},
        steps=6000,
    )


def adam() -> Recipe:
    """Gallery: the digits by MLPs with alternating Adam and R1, what most people would run; a minute."""
    return Recipe(
        name="digits-adam",
        **_common(),
        source=Spec(PairedSource, latent=32, latents="fresh"),
        oracle=Spec(Stochastic, batch=64),
        rule=Spec(Alternating, order=("critic", "generator")),
        optimizers=_adam(lr=1e-3),
        averages={"ema": Spec(EMA, decay=0.999)},
        steps=18_000,
    )


def _adam(lr: float) -> dict[str, Spec[Optimizer]]:
    return {name: Spec(Adam, lr=lr, betas=(0.5, 0.9)) for name in ("critic", "generator")}
