"""The SVRE paper's MNIST experiment: its networks, batch, learning rates, and pixels in [0, 1] under a tanh.

Extragradient is played as in the authors' GAN code, ``at="opponent"``: each player's update gradient is taken at its
own weights of time t against the opponent at t + 1/2. With plain steps of 1e-2 the joint form of the pseudo-code is
unstable on these networks.

The initialisation is DCGAN's, N(0, 0.02^2): with torch's own (``--set game.critic.init=torch``, likewise the generator)
the critic had won after 250 steps of SVRE, SE-A and SG-A alike (one seed), and the generator drew one noisy pattern.
"""

from __future__ import annotations

from typing import Any

from torch.optim import SGD, Adam

from manypaths.data.mnist import Mnist
from manypaths.games.adversarial import PLAYERS, Adversarial
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.objectives.non_saturating_probabilities import NonSaturatingProbabilities
from manypaths.optim.averaging.ema import EMA
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.optim.vradam import VRAd
from manypaths.oracles.base import Oracle
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.rules.alternating import Alternating
from manypaths.rules.base import Rule
from manypaths.rules.extragradient import Extragradient
from manypaths.run.recipe import Recipe
from manypaths.sources.paired import PairedSource
from manypaths.specs import Spec

EXTRA: Spec[Rule] = Spec(Extragradient, at="opponent")


def _common() -> dict[str, Any]:
    return {
        "data": Spec(Mnist),
        "game": Spec(
            Adversarial,
            generator=Spec(DcganGenerator, size=28, latent=128, width=128),
            critic=Spec(DcganCritic, size=28, width=64),
            objective=Spec(NonSaturating),
        ),
        "steps": 100_000,
        "checkpoint_every": 200,
    }


def svre() -> Recipe:
    """SVRE on MNIST: the paper's DCGAN, batch 50, SGD steps of 1e-2, snapshot coin 1/n_batches, restart 0.1."""
    return _svre("mnist-svre")


def svre_published() -> Recipe:
    """SVRE on MNIST as its authors' code has it in every particular that changes a number.

    torch's initialisation, cross-entropy on probabilities, mini-batches drawn at random under a full pass in batches
    of 500, latents drawn anew after each traversal; scores of a generator in training mode by an MLP of their
    classifier's shape, with its dropout on.
    """
    changes = {
        "source.redraw": "traversal",
        "oracle.components": "mixed",
        "oracle.chunk": 500,
        "game.generator.init": "torch",
        "game.critic.init": "torch",
        "game.objective": Spec(NonSaturatingProbabilities),
        "evaluate_mode": "train",
        "net": "mnist-mlp-dropout",
    }
    return _svre("mnist-svre-published").with_(changes)


def avg_svre() -> Recipe:
    """AVG-SVRE: SVRE without restarts, read at the uniform average of its iterates."""
    return _svre("mnist-avg-svre").with_({"averages.uniform.restart": 0.0})


def svre_vrad() -> Recipe:
    """SVRE with VRAd, the authors' adaptive step for variance-reduced gradients, at 1e-2."""
    return _svre("mnist-svre-vrad").with_({"optimizers": {name: Spec(VRAd, lr=1e-2) for name in PLAYERS}})


def ws_svre() -> Recipe:
    """WS-SVRE: SVRE from where a finished SE-A run ended (`start_from`, `runs/mnist-se-a` by default)."""
    return _svre("mnist-ws-svre").with_({"start_from": "runs/mnist-se-a"})


def sg_a() -> Recipe:
    """SG-A, the usual GAN: alternating mini-batch gradients with Adam, lr 1e-4."""
    rule = Spec(Alternating, order=("critic", "generator"))
    return _adam("mnist-sg-a", oracle=Spec(Stochastic, batch=50), rule=rule, latents="fresh")


def se_a() -> Recipe:
    """SE-A (ExtraAdam): stochastic extragradient with Adam, lr 1e-4."""
    return _adam("mnist-se-a", oracle=Spec(Stochastic, batch=50), rule=EXTRA, latents="fresh")


def batch_e_a() -> Recipe:
    """BatchE-A: full-batch extragradient with Adam, lr 1e-4; every step passes over the data twice."""
    return _adam("mnist-batch-e-a", oracle=Spec(FullBatch, batch=50), rule=EXTRA, latents="paired")


def _svre(name: str) -> Recipe:
    return Recipe(
        name=name,
        **_common(),
        source=Spec(PairedSource, latent=128, pixels="unit"),
        oracle=Spec(SVRG, batch=50, schedule="svre"),
        rule=EXTRA,
        optimizers={player: Spec(SGD, lr=1e-2) for player in PLAYERS},
        averages={"uniform": Spec(UniformAverage, restart=0.1)},
    )


def _adam(name: str, *, oracle: Spec[Oracle], rule: Spec[Rule], latents: str) -> Recipe:
    return Recipe(
        name=name,
        **_common(),
        source=Spec(PairedSource, latent=128, latents=latents, pixels="unit"),
        oracle=oracle,
        rule=rule,
        optimizers={player: Spec(Adam, lr=1e-4, betas=(0.5, 0.999)) for player in PLAYERS},
        averages={"uniform": Spec(UniformAverage), "ema": Spec(EMA, decay=0.9999)},
    )
