"""*Many Paths to Equilibrium*: four games on four data sets, with everything but the game shared.

DCGANs with 64 filters, no BatchNorm in the critic (a per-sample penalty forbids it), batch 64, Adam with learning rate
2e-4 and betas (0.5, 0.999), penalty weight 10. The paper shows the spread over such settings and not one best run:
``--set optimizers.critic.lr=1e-4``, ``--set rule.order=critic,critic,generator``.
"""

from __future__ import annotations

from typing import Any

from torch.optim import Adam

from manypaths.data.base import DataSet
from manypaths.data.celeba import CelebA
from manypaths.data.cifar10 import Cifar10
from manypaths.data.color_mnist import ColorMnist
from manypaths.data.stacked_mnist import StackedMnist
from manypaths.games.adversarial import Adversarial
from manypaths.metrics.frechet import Frechet
from manypaths.metrics.inception_score import InceptionScore
from manypaths.metrics.label_histogram import LabelHistogram
from manypaths.metrics.ms_ssim import MsSsim
from manypaths.metrics.stacked_modes import StackedModes
from manypaths.metrics.transport import SlicedWasserstein
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.objectives.wasserstein import Wasserstein
from manypaths.optim.averaging.ema import EMA
from manypaths.oracles.stochastic import Stochastic
from manypaths.penalties.dragan import Dragan
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.rules.alternating import Alternating
from manypaths.run.recipe import Recipe
from manypaths.sources.paired import PairedSource
from manypaths.specs import Spec

_SCORES = (Spec(InceptionScore), Spec(Frechet), Spec(LabelHistogram), Spec(MsSsim))
_GAMES: dict[str, dict[str, Any]] = {
    "ns": {"objective": Spec(NonSaturating), "penalties": ()},
    "gan-gp": {"objective": Spec(NonSaturating), "penalties": (Spec(GradientPenalty, weight=10.0),)},
    "dragan-ns": {"objective": Spec(NonSaturating), "penalties": (Spec(Dragan, weight=10.0),)},
    "wgan-gp": {"objective": Spec(Wasserstein), "penalties": (Spec(GradientPenalty, weight=10.0),)},
}
_CRITIC_STEPS = {"wgan-gp": 5}


def color_mnist_ns() -> Recipe:
    """NS-GAN on Color MNIST."""
    return _color_mnist("ns")


def color_mnist_gan_gp() -> Recipe:
    """GAN-GP (the non-saturating game with WGAN-GP's penalty) on Color MNIST."""
    return _color_mnist("gan-gp")


def color_mnist_dragan_ns() -> Recipe:
    """DRAGAN-NS (the non-saturating game with DRAGAN's penalty) on Color MNIST."""
    return _color_mnist("dragan-ns")


def color_mnist_wgan_gp() -> Recipe:
    """WGAN-GP, five critic steps per step of the generator, on Color MNIST."""
    return _color_mnist("wgan-gp")


def stacked_mnist_ns() -> Recipe:
    """NS-GAN on Stacked MNIST, 1,000 modes."""
    return _stacked_mnist("ns")


def stacked_mnist_gan_gp() -> Recipe:
    """GAN-GP (the non-saturating game with WGAN-GP's penalty) on Stacked MNIST, 1,000 modes."""
    return _stacked_mnist("gan-gp")


def stacked_mnist_dragan_ns() -> Recipe:
    """DRAGAN-NS (the non-saturating game with DRAGAN's penalty) on Stacked MNIST, 1,000 modes."""
    return _stacked_mnist("dragan-ns")


def stacked_mnist_wgan_gp() -> Recipe:
    """WGAN-GP, five critic steps per step of the generator, on Stacked MNIST, 1,000 modes."""
    return _stacked_mnist("wgan-gp")


def cifar10_ns() -> Recipe:
    """NS-GAN on CIFAR-10."""
    return _cifar10("ns")


def cifar10_gan_gp() -> Recipe:
    """GAN-GP (the non-saturating game with WGAN-GP's penalty) on CIFAR-10."""
    return _cifar10("gan-gp")


def cifar10_dragan_ns() -> Recipe:
    """DRAGAN-NS (the non-saturating game with DRAGAN's penalty) on CIFAR-10."""
    return _cifar10("dragan-ns")


def cifar10_wgan_gp() -> Recipe:
    """WGAN-GP, five critic steps per step of the generator, on CIFAR-10."""
    return _cifar10("wgan-gp")


def celeba_ns() -> Recipe:
    """NS-GAN on CelebA at 64 pixels."""
    return _celeba("ns")


def celeba_gan_gp() -> Recipe:
    """GAN-GP (the non-saturating game with WGAN-GP's penalty) on CelebA at 64 pixels."""
    return _celeba("gan-gp")


def celeba_dragan_ns() -> Recipe:
    """DRAGAN-NS (the non-saturating game with DRAGAN's penalty) on CelebA at 64 pixels."""
    return _celeba("dragan-ns")


def celeba_wgan_gp() -> Recipe:
    """WGAN-GP, five critic steps per step of the generator, on CelebA at 64 pixels."""
    return _celeba("wgan-gp")


def _color_mnist(game: str) -> Recipe:
    return _recipe("color-mnist", game, Spec(ColorMnist), size=28, metrics=_SCORES)


def _stacked_mnist(game: str) -> Recipe:
    return _recipe("stacked-mnist", game, Spec(StackedMnist), size=28, metrics=(Spec(StackedModes), Spec(MsSsim)))


def _cifar10(game: str) -> Recipe:
    return _recipe("cifar10", game, Spec(Cifar10), size=32, metrics=_SCORES)


def _celeba(game: str) -> Recipe:
    """Without labels there is no classifier to look through: its scores need no feature net."""
    return _recipe(
        "celeba", game, Spec(CelebA), size=64, metrics=(Spec(MsSsim), Spec(SlicedWasserstein, space="pixels"))
    )


def _recipe(data_name: str, game: str, data: Spec[DataSet], *, size: int, metrics: tuple[Spec[Any], ...]) -> Recipe:
    order = ("critic",) * _CRITIC_STEPS.get(game, 1) + ("generator",)
    return Recipe(
        name=f"{data_name}-{game}",
        data=data,
        source=Spec(PairedSource, latent=128, latents="fresh"),
        game=Spec(
            Adversarial,
            generator=Spec(DcganGenerator, size=size, channels=3, latent=128, width=64),
            critic=Spec(DcganCritic, size=size, channels=3, width=64, norm="none"),
            **_GAMES[game],
        ),
        oracle=Spec(Stochastic, batch=64),
        rule=Spec(Alternating, order=order),
        optimizers={player: Spec(Adam, lr=2e-4, betas=(0.5, 0.999)) for player in ("critic", "generator")},
        averages={"ema": Spec(EMA, decay=0.999)},
        metrics=metrics,
        steps=50_000,
        noise_every=0,
        samples_every=500,
        checkpoint_every=500,
    )
