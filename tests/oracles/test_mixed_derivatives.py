"""Losses that detach what a rule differentiates are refused, and no others."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import softplus
from torch.optim import SGD

from manypaths.errors import InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.games.from_losses import FromLosses
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.hinge import Hinge
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.oracles.consensus import Consensus
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.symplectic import Symplectic
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.rules.competitive import CompetitiveGradientDescent
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.paired import PairedSource
from manypaths.training import Training

DATA = torch.randn(32, 2, generator=torch.Generator().manual_seed(0))


def own(cut) -> FromLosses:
    players = {"generator": MlpGenerator(latent=3, hidden=(16,)), "critic": MlpCritic(hidden=(16,))}

    def critic_loss(sample, generator, critic):
        return softplus(-critic(sample.real)).mean() + softplus(critic(cut(generator(sample.latent)))).mean()

    def generator_loss(sample, generator, critic):
        return softplus(-critic(generator(sample.latent))).mean()

    return FromLosses({"generator": generator_loss, "critic": critic_loss}, players)


def train(game, kind, source=None):
    source = source or PairedSource.from_dataset(DATA, latent=3)
    inner = Stochastic(source, batch=8)
    oracle = {"consensus": Consensus, "symplectic": Symplectic}.get(kind, lambda oracle: oracle)(inner)
    rule = CompetitiveGradientDescent() if kind == "competitive" else Simultaneous()
    return Training(game, oracle, rule, {n: SGD(game.parameters(n), lr=1e-2) for n in game.players})


KINDS = ("consensus", "symplectic", "competitive")


@pytest.mark.parametrize("kind", KINDS)
def test_detached_fakes_are_refused_by_rules_that_differentiate_the_field(kind) -> None:
    with pytest.raises(InvalidValue, match="by the weights of generator, and autograd sees nothing"):
        train(own(lambda fake: fake.detach()), kind)
    train(own(lambda fake: fake), kind).step()


@pytest.mark.parametrize("kind", KINDS)
def test_games_that_detach_nothing_are_not_refused(kind) -> None:
    mlp = MlpGenerator(latent=3, hidden=(16,)), MlpCritic(hidden=(16,))
    train(Adversarial(*mlp, objective=NonSaturating(), penalties=[GradientPenalty()]), kind).step()
    images = PairedSource(torch.rand(16, 1, 8, 8) * 2 - 1, latent=4, latents="fresh")
    generator = DcganGenerator(size=8, latent=4, width=4)
    for norm in ("none", "spectral", "batch"):
        train(Adversarial(generator, DcganCritic(size=8, width=4, norm=norm), objective=Hinge()), kind, images)


def test_competitive_steps_see_the_fakes_inside_a_penalty() -> None:
    """D_xy of the critic's loss includes the penalty at points between data and fakes."""
    game = Adversarial(
        MlpGenerator(latent=3, hidden=(8,)),
        MlpCritic(hidden=(8,)),
        objective=NonSaturating(),
        penalties=[GradientPenalty()],
    )
    work = train(game, "competitive")
    seen = []
    losses = game.losses
    game.losses = lambda sample, players: seen.append(game.second_order) or losses(sample, players)
    work.step()
    assert seen == [True], "penalties detach fakes elsewhere"


def test_the_whole_sum_is_tried_too() -> None:
    game = own(lambda fake: fake.detach())
    oracle = Consensus(FullBatch(PairedSource(DATA, latent=3), batch=8))
    with pytest.raises(InvalidValue, match="autograd sees nothing"):
        oracle.bind(game)
