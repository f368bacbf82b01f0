"""What losses and networks return: a fault is one line, wherever the game is evaluated."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from manypaths.errors import InvalidType
from manypaths.evaluation.execution import Execution
from manypaths.games.adversarial import Adversarial
from manypaths.games.from_losses import FromLosses
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.ema import EMA
from manypaths.oracles.consensus import Consensus
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.competitive import CompetitiveGradientDescent
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import Index, IndexSource
from manypaths.testing.conformance import small_gan, small_source
from manypaths.training import Training
from manypaths.vectors import flat


class Also(nn.Module):
    """A network that returns its input beside its output."""

    def __init__(self, inside: nn.Module):
        super().__init__()
        self.inside = inside

    def forward(self, data):
        return self.inside(data), data


def faulty(value) -> FromLosses:
    nets = {"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)}
    losses = {"a": lambda s, a, b: a(b(s.index[:, None].float())).mean(), "b": lambda s, a, b: value(b.weight.sum())}
    return FromLosses(losses, nets)


FAULTS = [
    (lambda loss: loss.item(), r"the loss of 'b' is -?\d.* \(float\): expected a scalar tensor; leave \.item\(\)"),
    (lambda loss: None, "the loss of 'b' is None: expected a scalar tensor; return the loss"),
    (lambda loss: (loss, loss), "the loss of 'b' is a tuple of 2: expected a scalar tensor"),
    (lambda loss: loss * 1j, "the loss of 'b' is a torch.complex64: expected a real number"),
]


@pytest.mark.parametrize(("value", "message"), FAULTS)
@pytest.mark.parametrize("way", ["field", "twice", "competitive"])
def test_losses_that_are_no_real_scalar_tensors(value, message, way) -> None:
    game = faulty(value)
    optimizers = {n: torch.optim.SGD(game.parameters(n), lr=0.1) for n in game.players}

    oracle = Stochastic(IndexSource(4), batch=2)
    rule = CompetitiveGradientDescent() if way == "competitive" else Simultaneous()
    with pytest.raises(InvalidType, match=message):
        Training(game, Consensus(oracle) if way == "twice" else oracle, rule, optimizers).step()


def test_a_float_loss_in_a_population() -> None:
    games = [faulty(lambda loss: 0.5) for _ in range(2)]

    population = Population(games)
    sample = PopulationSource([IndexSource(4, seed=i) for i in range(2)]).sample(2)
    with pytest.raises(InvalidType, match=r"the loss of 'b' is 0.5 \(float\): expected a scalar tensor"):
        population.gradients(sample)


def test_losses_that_are_no_mapping() -> None:
    class Pair(FromLosses):
        def losses(self, sample, players):
            return tuple(super().losses(sample, players).values())

    nets = {"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)}
    game = Pair({n: lambda s, a, b: a.weight.sum() + b.weight.sum() for n in nets}, nets)
    with pytest.raises(InvalidType, match=r"losses\(\) returned a tuple of 2: expected a mapping from players"):
        game.gradients(Index(torch.zeros(1)))


@pytest.mark.parametrize("execution", [Execution(), Execution(critic_pass="joint")])
def test_networks_that_return_tuples(execution) -> None:
    sample = small_source().sample(4)
    for player, what in (("critic", "scores"), ("generator", "data")):
        plain = small_gan()
        networks = {**plain.players, player: Also(plain.players[player])}
        game = Adversarial(**networks, objective=NonSaturating())
        execution.prepare(game)
        message = rf"the {player} returned a tuple of 2: expected one tensor, {what} \(N.*\); put it into a module"
        with pytest.raises(InvalidType, match=message):
            game.gradients(sample)
        with pytest.raises(InvalidType, match=message):
            game.check(sample)


def test_a_built_game_and_its_training_can_be_copied_and_pickled() -> None:
    game = small_gan()
    Execution(kernels="stock").prepare(game)
    optimizers = {n: torch.optim.Adam(game.parameters(n), lr=1e-2) for n in game.players}
    training = Training(game, SVRG(small_source(), batch=8), Extragradient(), optimizers, averages=EMA())
    training.step()
    sample = small_source().sample(4)
    for twin in (copy.deepcopy(game), pickle.loads(pickle.dumps(game))):
        assert torch.equal(flat(twin.gradients(sample)), flat(game.gradients(sample)))
        assert twin.execution == game.execution
    twin = copy.deepcopy(training)
    training.step(), twin.step()
    assert torch.equal(flat(twin.game.point()), flat(game.point()))
