"""GANs worth looking at, in minutes on two cores: settings found by search at this size, not any paper's."""

from __future__ import annotations

from torch.optim import Adam

from manypaths.data.digits import Digits
from manypaths.games.adversarial import Adversarial
from manypaths.models.r3gan import R3ganCritic, R3ganGenerator
from manypaths.objectives.relativistic import RelativisticPaired
from manypaths.optim.averaging.ema import EMA
from manypaths.oracles.stochastic import Stochastic
from manypaths.penalties.r1 import R1
from manypaths.penalties.r2 import R2
from manypaths.rules.alternating import Alternating
from manypaths.run.recipe import Recipe
from manypaths.schedules.cosine import Cosine
from manypaths.sources.paired import PairedSource
from manypaths.specs import Spec


def digits_r3gan() -> Recipe:
    """Gallery: R3GAN's game, networks and schedules on the 8x8 digits; a minute."""
    steps, batch = 1500, 64
    falls = {"over": steps * batch, "unit": "images"}
    return Recipe(
        name="gallery-digits-r3gan",
        data=Spec(Digits),
        source=Spec(PairedSource, latent=64, latents="fresh"),
        game=Spec(
            Adversarial,
            generator=Spec(R3ganGenerator, size=8, channels=1, width=32),
            critic=Spec(R3ganCritic, size=8, channels=1, width=32),
            objective=Spec(RelativisticPaired),
            penalties=(Spec(R1, weight=1.0), Spec(R2, weight=1.0)),
        ),
        oracle=Spec(Stochastic, batch=batch),
        rule=Spec(Alternating, order=("critic", "generator")),
        optimizers={name: Spec(Adam, lr=1e-3, betas=(0.0, 0.9)) for name in ("critic", "generator")},
        averages={"ema": Spec(EMA, decay=0.99)},
        schedules={
            **{f"optimizers.{name}.lr": Spec(Cosine, to=1e-4, **falls) for name in ("critic", "generator")},
            **{f"optimizers.{name}.betas.1": Spec(Cosine, to=0.99, **falls) for name in ("critic", "generator")},
            **{f"game.penalties.{i}.weight": Spec(Cosine, to=0.1, **falls) for i in (0, 1)},
        },
        steps=steps,
        noise_every=0,
        samples_every=250,
        checkpoint_every=250,
    )
