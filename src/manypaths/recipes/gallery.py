"""GANs worth looking at, in minutes on two cores: settings found by search at this size, not any paper's."""

from __future__ import annotations

from typing import Any

from torch.optim import Adam

from manypaths.data.base import DataSet
from manypaths.data.cifar10 import Cifar10
from manypaths.data.color_mnist import ColorMnist
from manypaths.data.digits import Digits
from manypaths.data.mnist import Mnist
from manypaths.games.adversarial import PLAYERS, Adversarial
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.r3gan import R3ganCritic, R3ganGenerator
from manypaths.objectives.hinge import Hinge
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.objectives.relativistic import RelativisticPaired
from manypaths.optim.averaging.ema import EMA
from manypaths.oracles.stochastic import Stochastic
from manypaths.penalties.r1 import R1
from manypaths.penalties.r2 import R2
from manypaths.rules.alternating import Alternating
from manypaths.run.recipe import Recipe
from manypaths.schedules.cosine import Cosine
from manypaths.sources.paired import PairedSource
from manypaths.sources.pixels import Pixels
from manypaths.specs import Spec

BATCH = 64


def mnist() -> Recipe:
    """Gallery: MNIST by a DCGAN with the non-saturating game; four minutes."""
    return _dcgan(
        "gallery-mnist", Spec(Mnist), size=28, channels=1, width=32, critic=16, lr=5e-4, steps=6000, pixels="unit"
    )


def color_mnist() -> Recipe:
    """Gallery: Color MNIST by a DCGAN with the hinge game and a spectrally normalised critic; ten minutes."""
    return _dcgan(
        "gallery-color-mnist",
        Spec(ColorMnist),
        size=28,
        channels=3,
        width=32,
        critic=32,
        lr=4e-4,
        steps=10_000,
        objective=Spec(Hinge),
        norm="spectral",
    )


def cifar10() -> Recipe:
    """Gallery: CIFAR-10 by a DCGAN with the non-saturating game; half an hour."""
    return _dcgan("gallery-cifar10", Spec(Cifar10), size=32, channels=3, width=32, critic=32, lr=4e-4, steps=10_000)


def digits_r3gan() -> Recipe:
    """Gallery: R3GAN's game, networks and schedules on the 8x8 digits; two minutes."""
    steps = 1500
    falls = {"over": steps * BATCH, "unit": "images"}
    return Recipe(
        name="gallery-digits-r3gan",
        data=Spec(Digits),
        source=Spec(PairedSource, latent=64, latents="fresh"),
        game=Spec(
            Adversarial,
            generator=Spec(R3ganGenerator, size=8, channels=1, width=32),
            critic=Spec(R3ganCritic, size=8, channels=1, width=32),
            objective=Spec(RelativisticPaired),
            penalties=(Spec(R1, weight=0.3), Spec(R2, weight=0.3)),
        ),
        oracle=Spec(Stochastic, batch=BATCH),
        rule=Spec(Alternating, order=PLAYERS),
        optimizers={name: Spec(Adam, lr=4e-3, betas=(0.0, 0.9)) for name in PLAYERS},
        averages={"ema": Spec(EMA, decay=0.99)},
        schedules={
            **{f"optimizers.{name}.lr": Spec(Cosine, to=4e-4, **falls) for name in PLAYERS},
            **{f"optimizers.{name}.betas.1": Spec(Cosine, to=0.99, **falls) for name in PLAYERS},
            **{f"game.penalties.{i}.weight": Spec(Cosine, to=0.03, **falls) for i in (0, 1)},
        },
        steps=steps,
        noise_every=0,
        samples_every=250,
        checkpoint_every=250,
    )


def _dcgan(
    name: str,
    data: Spec[DataSet],
    *,
    size: int,
    channels: int,
    width: int,
    critic: int,
    lr: float,
    steps: int,
    objective: Spec[Any] | None = None,
    norm: str = "batch",
    pixels: Pixels = "symmetric",
) -> Recipe:
    """A narrow DCGAN, alternating Adam whose rate falls to a tenth in the last third, and its exponential average."""
    falls = {"to": lr / 10, "after": steps * 2 // 3, "over": steps // 3}
    return Recipe(
        name=name,
        data=data,
        source=Spec(PairedSource, latent=128, latents="fresh", pixels=pixels),
        game=Spec(
            Adversarial,
            generator=Spec(DcganGenerator, size=size, channels=channels, latent=128, width=width),
            critic=Spec(DcganCritic, size=size, channels=channels, width=critic, norm=norm),
            objective=objective or Spec(NonSaturating),
        ),
        oracle=Spec(Stochastic, batch=BATCH),
        rule=Spec(Alternating, order=PLAYERS),
        optimizers={player: Spec(Adam, lr=lr, betas=(0.5, 0.999), fused=True) for player in PLAYERS},
        averages={"ema": Spec(EMA, decay=0.999)},
        schedules={f"optimizers.{player}.lr": Spec(Cosine, **falls) for player in PLAYERS},
        steps=steps,
        noise_every=0,
        samples_every=max(1, steps // 10),
        checkpoint_every=500,
    )
