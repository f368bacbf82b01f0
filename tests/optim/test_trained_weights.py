"""Layers that are frozen, unfrozen or replaced on the way: they move, or the reason is one line."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.ema import EMA
from manypaths.oracles.saga import SAGA
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.alternating import Alternating
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.optimistic import Optimistic
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.paired import PairedSource
from manypaths.training import Training

CHANGED = "layers of 'generator' were frozen, unfrozen or replaced on the way"


def gan() -> Adversarial:
    return Adversarial(MlpGenerator(latent=4, hidden=(8,)), MlpCritic(hidden=(8,)), objective=NonSaturating())


def source(seed: int = 0) -> PairedSource:
    return PairedSource(torch.randn(32, 2), latent=4, seed=seed)


def training(rule=None, oracle=None, *, held=None, game=None, **options) -> Training:
    """With optimisers over ``held`` weights of the generator, by default the trained ones."""
    game = game or gan()
    weights = {"critic": game.parameters("critic"), "generator": held or game.parameters("generator")}
    optimizers = {name: torch.optim.Adam(found, lr=0.1) for name, found in weights.items()}
    oracle = oracle or Stochastic(source(), batch=8)
    return Training(game, oracle, rule or Simultaneous(), optimizers, **options)


@pytest.mark.parametrize(
    "rule", [Simultaneous(), Extragradient(moments="separate"), Alternating(("critic", "generator"))], ids=repr
)
def test_a_layer_that_is_frozen_stays_and_one_that_is_unfrozen_moves(rule) -> None:
    game = gan()
    layer = game.generator.layers[0]
    work = training(rule, game=game)
    work.step()
    for frozen in (True, False):
        layer.requires_grad_(not frozen)
        before = layer.weight.detach().clone()
        work.step(), work.step()
        assert torch.equal(before, layer.weight) == frozen


def test_an_unfrozen_layer_that_no_optimiser_has_is_said() -> None:
    game = gan()
    game.generator.layers[0].requires_grad_(False)
    work = training(game=game)
    work.step()
    game.generator.layers[0].requires_grad_(True)
    with pytest.raises(InvalidValue, match="the optimiser of 'generator' lacks some of its parameters, which would ne"):
        work.step()


def test_a_layer_that_was_replaced_is_said() -> None:
    work = training()
    work.step()
    work.game.players["generator"].layers[0] = nn.Linear(4, 8)
    with pytest.raises(InvalidValue, match="the optimiser of 'generator' lacks some of its parameters"):
        work.step()


def remembering() -> dict:
    return {
        "the average 'ema'": lambda: training(averages=EMA()),
        "Optimistic": lambda: training(Optimistic()),
        "Lookahead": lambda: training(Lookahead(Simultaneous(), k=3)),
        "SVRG": lambda: training(oracle=SVRG(source(), batch=8)),
        "SAGA": lambda: training(oracle=SAGA(source(), batch=8)),
    }


@pytest.mark.parametrize("who", remembering())
@pytest.mark.parametrize("swap", [False, True], ids=["frozen", "as many weights as before"])
def test_whoever_keeps_vectors_of_other_weights_says_so(who, swap) -> None:
    work = remembering()[who]()
    layers = work.game.players["generator"].layers
    layers[2].bias.requires_grad_(False)
    weights = list(work.game.players["generator"].parameters())
    optimizers = {"critic": work.optimizers["critic"], "generator": torch.optim.Adam(weights, lr=0.1)}
    work = Training(work.game, work.oracle, work.rule, optimizers, averages=work.averages)
    work.step()
    layers[0].bias.requires_grad_(False)
    layers[2].bias.requires_grad_(swap)
    with pytest.raises(InvalidType, match=f"{CHANGED}, and {who} keeps vectors of the weights"):
        work.step()


def test_an_average_that_begins_anew_goes_on() -> None:
    work = training(averages=EMA())
    work.step()
    work.game.players["generator"].layers[0].requires_grad_(False)
    with pytest.raises(InvalidType, match="layers of 'generator' were frozen or unfrozen on the way.*: call reset"):
        work.averages["ema"].update(work.game, work.rule.step(work.game, work.oracle, work.optimizers))
    work.averages["ema"].reset()
    work.step()
    assert work.averages["ema"].count == 1


def test_frozen_layers_of_a_population_are_said() -> None:
    population = Population([gan() for _ in range(2)])
    optimizers = {n: torch.optim.SGD(population.parameters(n), lr=0.1) for n in population.players}
    members = Stochastic(PopulationSource([source(seed) for seed in range(2)]), batch=8)
    work = Training(population, members, Simultaneous(), optimizers)
    work.step()
    next(population.players["generator"].parameters()).requires_grad_(False)
    with pytest.raises(InvalidType, match=f"{CHANGED}: expected a new Population and Training from here"):
        work.step()


def test_an_average_is_not_called_like_the_last_iterate() -> None:
    with pytest.raises(InvalidValue, match="an average is named 'last', which is the last iterate"):
        training(averages={"last": EMA()})
