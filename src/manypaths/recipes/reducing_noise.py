"""*Reducing Noise in GAN Training* on colour images: five methods, two kinds of networks, three data sets.

Shallow nets are of SAGAN's type (spectral norm, self-attention), deep ones residual; hinge loss, batch 64, latents of
length 128. Adam with 1e-4 for the generator, 4e-4 for the critic and betas (0, 0.9); SVRE with plain steps of 1e-2 and
4e-2, as the authors' code has it for CIFAR-10. Extragradient as in their code too: each player's update gradient at its
own weights of time t against the opponent at t + 1/2 (``at="opponent"``). Uniform and exponential averages (0.9999) of
the generator.
"""

from __future__ import annotations

from typing import Any

from torch.optim import SGD, Adam

from manypaths.data.base import DataSet
from manypaths.data.cifar10 import Cifar10
from manypaths.data.imagenet import ImageNet
from manypaths.data.svhn import Svhn
from manypaths.games.adversarial import Adversarial
from manypaths.models.resnet import ResnetCritic, ResnetGenerator
from manypaths.models.sagan import SaganCritic, SaganGenerator
from manypaths.objectives.hinge import Hinge
from manypaths.optim.averaging.ema import EMA
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.optim.vradam import VRAd
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.rules.alternating import Alternating
from manypaths.rules.extragradient import Extragradient
from manypaths.run.recipe import Recipe
from manypaths.sources.paired import PairedSource
from manypaths.specs import Spec

_LR_ADAM = {"critic": 4e-4, "generator": 1e-4}
_LR_SVRE = {"critic": 4e-2, "generator": 1e-2}


def cifar10_sg_a() -> Recipe:
    """SG-A, alternating Adam, on CIFAR-10, shallow nets."""
    return _sg_a(_cifar10("cifar10-sg-a"))


def cifar10_se_a() -> Recipe:
    """SE-A, stochastic extragradient with Adam, on CIFAR-10, shallow nets."""
    return _se_a(_cifar10("cifar10-se-a"))


def cifar10_svre() -> Recipe:
    """SVRE with plain steps on CIFAR-10, shallow nets."""
    return _svre(_cifar10("cifar10-svre"))


def cifar10_svre_vrad() -> Recipe:
    """SVRE with VRAd's steps on CIFAR-10, shallow nets."""
    return _svre_vrad(_cifar10("cifar10-svre-vrad"))


def cifar10_ws_svre() -> Recipe:
    """SVRE from where a finished SE-A run ended, on CIFAR-10, shallow nets."""
    return _ws_svre(_cifar10("cifar10-ws-svre"))


def cifar10_deep_sg_a() -> Recipe:
    """SG-A, alternating Adam, on CIFAR-10, deep residual nets."""
    return _sg_a(_cifar10("cifar10-deep-sg-a", deep=True))


def cifar10_deep_se_a() -> Recipe:
    """SE-A, stochastic extragradient with Adam, on CIFAR-10, deep residual nets."""
    return _se_a(_cifar10("cifar10-deep-se-a", deep=True))


def cifar10_deep_svre() -> Recipe:
    """SVRE with plain steps on CIFAR-10, deep residual nets."""
    return _svre(_cifar10("cifar10-deep-svre", deep=True))


def cifar10_deep_svre_vrad() -> Recipe:
    """SVRE with VRAd's steps on CIFAR-10, deep residual nets."""
    return _svre_vrad(_cifar10("cifar10-deep-svre-vrad", deep=True))


def cifar10_deep_ws_svre() -> Recipe:
    """SVRE from where a finished SE-A run ended, on CIFAR-10, deep residual nets."""
    return _ws_svre(_cifar10("cifar10-deep-ws-svre", deep=True))


def svhn_sg_a() -> Recipe:
    """SG-A, alternating Adam, on SVHN, shallow nets."""
    return _sg_a(_svhn("svhn-sg-a"))


def svhn_se_a() -> Recipe:
    """SE-A, stochastic extragradient with Adam, on SVHN, shallow nets."""
    return _se_a(_svhn("svhn-se-a"))


def svhn_svre() -> Recipe:
    """SVRE with plain steps on SVHN, shallow nets."""
    return _svre(_svhn("svhn-svre"))


def svhn_svre_vrad() -> Recipe:
    """SVRE with VRAd's steps on SVHN, shallow nets."""
    return _svre_vrad(_svhn("svhn-svre-vrad"))


def svhn_ws_svre() -> Recipe:
    """SVRE from where a finished SE-A run ended, on SVHN, shallow nets."""
    return _ws_svre(_svhn("svhn-ws-svre"))


def svhn_deep_sg_a() -> Recipe:
    """SG-A, alternating Adam, on SVHN, deep residual nets."""
    return _sg_a(_svhn("svhn-deep-sg-a", deep=True))


def svhn_deep_se_a() -> Recipe:
    """SE-A, stochastic extragradient with Adam, on SVHN, deep residual nets."""
    return _se_a(_svhn("svhn-deep-se-a", deep=True))


def svhn_deep_svre() -> Recipe:
    """SVRE with plain steps on SVHN, deep residual nets."""
    return _svre(_svhn("svhn-deep-svre", deep=True))


def svhn_deep_svre_vrad() -> Recipe:
    """SVRE with VRAd's steps on SVHN, deep residual nets."""
    return _svre_vrad(_svhn("svhn-deep-svre-vrad", deep=True))


def svhn_deep_ws_svre() -> Recipe:
    """SVRE from where a finished SE-A run ended, on SVHN, deep residual nets."""
    return _ws_svre(_svhn("svhn-deep-ws-svre", deep=True))


def imagenet_sg_a() -> Recipe:
    """SG-A, alternating Adam, on ImageNet at 64 pixels, shallow nets."""
    return _sg_a(_imagenet("imagenet-sg-a"))


def imagenet_se_a() -> Recipe:
    """SE-A, stochastic extragradient with Adam, on ImageNet at 64 pixels, shallow nets."""
    return _se_a(_imagenet("imagenet-se-a"))


def imagenet_svre() -> Recipe:
    """SVRE with plain steps on ImageNet at 64 pixels, shallow nets."""
    return _svre(_imagenet("imagenet-svre"))


def imagenet_svre_vrad() -> Recipe:
    """SVRE with VRAd's steps on ImageNet at 64 pixels, shallow nets."""
    return _svre_vrad(_imagenet("imagenet-svre-vrad"))


def imagenet_ws_svre() -> Recipe:
    """SVRE from where a finished SE-A run ended, on ImageNet at 64 pixels, shallow nets."""
    return _ws_svre(_imagenet("imagenet-ws-svre"))


def imagenet_deep_sg_a() -> Recipe:
    """SG-A, alternating Adam, on ImageNet at 64 pixels, deep residual nets."""
    return _sg_a(_imagenet("imagenet-deep-sg-a", deep=True))


def imagenet_deep_se_a() -> Recipe:
    """SE-A, stochastic extragradient with Adam, on ImageNet at 64 pixels, deep residual nets."""
    return _se_a(_imagenet("imagenet-deep-se-a", deep=True))


def imagenet_deep_svre() -> Recipe:
    """SVRE with plain steps on ImageNet at 64 pixels, deep residual nets."""
    return _svre(_imagenet("imagenet-deep-svre", deep=True))


def imagenet_deep_svre_vrad() -> Recipe:
    """SVRE with VRAd's steps on ImageNet at 64 pixels, deep residual nets."""
    return _svre_vrad(_imagenet("imagenet-deep-svre-vrad", deep=True))


def imagenet_deep_ws_svre() -> Recipe:
    """SVRE from where a finished SE-A run ended, on ImageNet at 64 pixels, deep residual nets."""
    return _ws_svre(_imagenet("imagenet-deep-ws-svre", deep=True))


def _cifar10(name: str, *, deep: bool = False) -> Recipe:
    return _shared(name, Spec(Cifar10), size=32, deep=deep)


def _svhn(name: str, *, deep: bool = False) -> Recipe:
    return _shared(name, Spec(Svhn), size=32, deep=deep)


def _imagenet(name: str, *, deep: bool = False) -> Recipe:
    return _shared(name, Spec(ImageNet, size=64), size=64, deep=deep)


def _shared(name: str, data: Spec[DataSet], *, size: int, deep: bool) -> Recipe:
    """What the methods share, with SE-A as the method."""
    generator, critic = (ResnetGenerator, ResnetCritic) if deep else (SaganGenerator, SaganCritic)
    return Recipe(
        name=name,
        data=data,
        source=Spec(PairedSource, latent=128, latents="fresh"),
        game=Spec(
            Adversarial,
            generator=Spec(generator, size=size, latent=128),
            critic=Spec(critic, size=size),
            objective=Spec(Hinge),
        ),
        oracle=Spec(Stochastic, batch=64),
        rule=Spec(Extragradient, at="opponent"),
        optimizers={player: Spec(Adam, lr=lr, betas=(0.0, 0.9)) for player, lr in _LR_ADAM.items()},
        averages={"uniform": Spec(UniformAverage), "ema": Spec(EMA, decay=0.9999)},
        steps=500_000,
        noise_every=1000,
        samples_every=1000,
        checkpoint_every=1000,
    )


def _se_a(recipe: Recipe) -> Recipe:
    return recipe


def _sg_a(recipe: Recipe) -> Recipe:
    return recipe.with_({"rule": Spec(Alternating, order=("critic", "generator"))})


def _svre(recipe: Recipe, base: Any = SGD) -> Recipe:
    return recipe.with_(
        {
            "source.latents": "paired",
            "oracle": Spec(SVRG, batch=64, schedule="svre"),
            "optimizers": {player: Spec(base, lr=lr) for player, lr in _LR_SVRE.items()},
            "averages.uniform.restart": 0.1,
        }
    )


def _svre_vrad(recipe: Recipe) -> Recipe:
    return _svre(recipe, VRAd)


def _ws_svre(recipe: Recipe) -> Recipe:
    """From the checkpoint of the SE-A recipe with the same nets and data."""
    return _svre(recipe).with_({"start_from": f"runs/{recipe.name.replace('ws-svre', 'se-a')}"})
