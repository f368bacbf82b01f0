"""The noise of an estimate, against enumeration."""

from __future__ import annotations

import pytest
import torch

from manypaths.games.adversarial import Adversarial
from manypaths.metrics.gradient_noise import gradient_noise
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.sources.base import Index
from manypaths.sources.paired import PairedSource
from manypaths.vectors import flat


def exact_variance(game, n: int, player: str, at_snapshot=None) -> float:
    """tr Cov over a uniformly drawn component function, by enumeration."""
    rows = []
    for i in range(n):
        sample = Index(torch.tensor([i]))
        row = flat({player: game.gradients(sample)[player]})
        if at_snapshot is not None:
            with game.at(at_snapshot):
                row = row - flat({player: game.gradients(sample)[player]})
        rows.append(row)
    return float(torch.stack(rows).var(0, correction=0).sum())


def test_moments_and_ratio_against_enumeration(finite_sum) -> None:
    game, source = finite_sum
    oracle = SVRG(source, batch=1, schedule="fixed", every=1000)
    oracle.bind(game)
    oracle.take_snapshot(game)
    shot = oracle.snapshot.point
    game.move_to({n: [w + 0.5 for w in ws] for n, ws in game.point().items()})
    for _ in range(5):
        oracle.draw()
    noise = gradient_noise(game, oracle, draws=3000)
    for name in game.players:
        reduced = exact_variance(game, source.size, name, shot)
        plain = exact_variance(game, source.size, name)
        full = flat({name: game.gradients(Index(torch.arange(source.size)))[name]})
        assert noise[name].variance == pytest.approx(reduced, rel=0.1)
        assert noise[name].ratio == pytest.approx(reduced / plain, rel=0.15)
        assert noise[name].second_moment == pytest.approx(reduced + float(full.square().sum()), rel=0.05)
        assert noise[name].age == 5


def test_measuring_moves_nothing(finite_sum) -> None:
    game, source = finite_sum
    for oracle in (SVRG(source, batch=2, when="helps"), Stochastic(source, batch=2)):
        oracle.bind(game)
        oracle(game, oracle.draw())
        before = (game.joint(), dict(oracle.evaluations), oracle.draws, source.state_dict()["generator"])
        noise = gradient_noise(game, oracle, draws=4)
        after = (game.joint(), dict(oracle.evaluations), oracle.draws, source.state_dict()["generator"])
        assert torch.equal(before[0], after[0])
        assert before[1:3] == after[1:3]
        assert torch.equal(before[3], after[3])
        assert (noise["x"].ratio is None) == isinstance(oracle, Stochastic)


def test_the_noise_of_layers_adds_up_to_the_players() -> None:
    generator = torch.Generator().manual_seed(0)
    source = PairedSource(torch.rand(40, 1, 8, 8, generator=generator, dtype=torch.float64), latent=4)
    critic = DcganCritic(size=8, width=2, norm="spectral").double()
    game = Adversarial(DcganGenerator(size=8, latent=4, width=2).double(), critic, objective=NonSaturating())
    oracle = SVRG(source, batch=8, schedule="fixed", every=1000)
    oracle.bind(game)
    oracle.take_snapshot(game)
    game.move_to({n: [w + 0.01 * torch.randn_like(w) for w in ws] for n, ws in game.point().items()})
    noise, coarse = (gradient_noise(game, oracle, draws=4, layers=layers) for layers in (True, False))
    assert {name: noise[name] for name in coarse} == coarse
    assert [name for name in noise if name.startswith("critic/")] == [
        "critic/layers.0",
        "critic/layers.2",
        "critic/layers.4",
    ]
    for player in game.players:
        parts = [value for name, value in noise.items() if name.startswith(f"{player}/")]
        assert sum(part.variance for part in parts) == pytest.approx(noise[player].variance, rel=1e-12)
        plain = sum(part.variance / part.ratio for part in parts)
        assert noise[player].variance / plain == pytest.approx(noise[player].ratio, rel=1e-12)
