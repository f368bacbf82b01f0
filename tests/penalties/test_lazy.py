"""Lazy penalties: unbiased by enumeration of the coins, a finite sum under SVRG, rows of a conditional critic."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from manypaths.errors import InvalidType
from manypaths.games.adversarial import Adversarial
from manypaths.models.mlp import MlpCritic
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.base import Optimizers
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.penalties.dragan import Dragan
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.penalties.lazy import Lazy
from manypaths.penalties.r1 import R1
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.gan_sample import GanSample
from manypaths.testing.conformance import mean_error, small_gan, small_source
from manypaths.training import Training


def subject(n: int) -> tuple[nn.Module, GanSample, torch.Tensor]:
    critic = MlpCritic(hidden=(8,)).double()
    real, fake = torch.randn(2, n, 2, dtype=torch.float64)
    return critic, GanSample(real, torch.randn(n, 2), torch.arange(n)), fake


@pytest.mark.parametrize("inner", [R1(), GradientPenalty(), Dragan(std=0.3)], ids=repr)
def test_the_mean_over_all_coins_is_the_penalty(inner, monkeypatch) -> None:
    critic, s, fake = subject(4)
    lazy, share, mean = Lazy(inner, every=3), 1 / 3, 0.0
    for coins in itertools.product([True, False], repeat=4):
        monkeypatch.setattr(Lazy, "chosen", lambda self, seed, coins=coins: torch.tensor(coins))
        probability = share ** sum(coins) * (1 - share) ** (4 - sum(coins))
        mean += probability * lazy(critic, s, fake).item()
    assert mean == pytest.approx(inner(critic, s, fake).item(), rel=1e-13)


@pytest.mark.parametrize("every", [1, 2, 16])
def test_one_coin_in_every(every) -> None:
    n = 200_000
    share = float(Lazy(every=every).chosen(torch.arange(n)).double().mean())
    assert abs(share - 1 / every) <= 4 * ((1 - 1 / every) / every / n) ** 0.5


def test_coins_belong_to_the_samples() -> None:
    """Equal at two points, in any batch; the value is every / N times the sum over the chosen."""
    critic, s, fake = subject(64)
    lazy = Lazy(R1(), every=4)
    chosen = lazy.chosen(s.seed)
    assert 8 <= int(chosen.sum()) <= 24
    assert torch.equal(lazy.chosen(s.seed[5:9]), chosen[5:9])
    own = torch.stack([R1()(critic, s[i : i + 1], fake[i : i + 1]) for i in range(64)])
    assert lazy(critic, s, fake).item() == pytest.approx(4 * (own * chosen).sum().item() / 64, rel=1e-13)
    assert lazy(critic, s[~chosen], fake[~chosen]).item() == 0.0


def test_only_the_chosen_are_evaluated() -> None:
    rows = []

    class Counting(MlpCritic):
        def forward(self, data):
            rows.append(len(data))
            return super().forward(data)

    _, s, fake = subject(64)
    lazy = Lazy(R1(), every=4)
    lazy(Counting(hidden=(8,)).double(), s, fake)
    assert rows == [int(lazy.chosen(s.seed).sum())]


def test_a_finite_sum_stays_one() -> None:
    game = small_gan(penalties=[Lazy(R1(10.0), every=4)])
    assert not game.couples_samples
    optimizers = Optimizers({n: torch.optim.SGD(game.parameters(n), lr=0.05) for n in game.players})
    training = Training(game, SVRG(small_source(), batch=8, every=50), Simultaneous(), optimizers)
    for _ in range(3):
        training.step()
    assert mean_error(game, training.oracle) < 1e-12


class Labelled(nn.Module):
    """s(x; y) = ||x||^2 y / 2, whose gradient is y x."""

    def forward(self, data, label):
        assert len(data) == len(label)
        return data.square().sum(1) * label / 2


def test_a_conditional_critic_sees_the_labels_of_the_chosen() -> None:
    game = Adversarial(nn.Identity(), Labelled(), objective=NonSaturating(), conditional=True)
    _, s, fake = subject(32)
    s = GanSample(s.real, s.latent, s.seed, torch.arange(32))
    lazy = Lazy(R1(), every=2)
    chosen = lazy.chosen(s.seed)
    expected = (s.real.square().sum(1) * s.label.square() / 2)[chosen].sum() * 2 / 32
    assert lazy(game._critic(game._label(s)), s, fake).item() == pytest.approx(expected.item(), rel=1e-13)


def test_refusals() -> None:
    with pytest.raises(InvalidType, match="Lazy evaluates a part of the batch and this Dragan depends on all of it"):
        Lazy(Dragan())
    games = [small_gan(penalties=[Lazy(every=2)]) for _ in range(2)]
    source = PopulationSource([small_source(seed=i) for i in range(2)])
    population = Population(games)
    optimizers = Optimizers({n: torch.optim.SGD(population.parameters(n), lr=0.1) for n in population.players})
    with pytest.raises(InvalidType, match="Lazy chooses another number of samples in each member of a population"):
        Training(population, Stochastic(source, batch=4), Simultaneous(), optimizers).step()


def test_a_lazy_penalty_with_batchnorm_in_the_critic_is_refused() -> None:
    """A part of the batch would be normalised by its own statistics, and one sample alone by none."""
    critic = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 1), nn.Flatten(0))
    message = r"Lazy evaluates the critic at a part of the batch, and BatchNorm1d \(1\) normalises by the statistics"
    with pytest.raises(InvalidType, match=message):
        Adversarial(nn.Linear(3, 2), critic, objective=NonSaturating(), penalties=(Lazy(R1()),))
