"""Importance sampling: unbiased by enumeration, and quieter where the constants are right."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.importance import Importance
from manypaths.oracles.saga import SAGA
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.sources.base import IndexSource
from manypaths.sources.paired import PairedSource
from manypaths.testing.conformance import mean_error, mean_estimate
from manypaths.vectors import flat

MAKES = {"stochastic": Stochastic, "svrg": SVRG}


def moved(game) -> None:
    game.move_to({n: [w + 0.1 * torch.randn_like(w) for w in ws] for n, ws in game.point().items()})


@pytest.mark.parametrize("name", MAKES)
def test_unbiased_over_samples(finite_sum, name) -> None:
    game, source = finite_sum
    constants = torch.linalg.matrix_norm(game.matrices, 2)
    oracle = Importance(MAKES[name](source, batch=1), constants)
    assert oracle.bind(game) is None
    oracle.draw()
    moved(game)
    assert (mean_estimate(game, oracle) - game.field(game.joint())).norm() < 1e-12
    assert sum(p for p, _ in oracle.outcomes()) == pytest.approx(1.0, abs=1e-14)
    uniform = Importance(MAKES[name](source, batch=1), [3.0] * 50)
    assert all(abs(sample.weight - 1.0) < 1e-14 for _, sample in uniform.outcomes())


@pytest.mark.parametrize(("name", "norm"), [("stochastic", "none"), ("stochastic", "batch"), ("svrg", "batch")])
def test_unbiased_over_mini_batches_of_the_partition(name, norm) -> None:
    nets = DcganGenerator(size=8, latent=4, width=4, norm=norm), DcganCritic(size=8, width=4, norm=norm)
    game = Adversarial(*(n.double() for n in nets), objective=NonSaturating())
    source = PairedSource(torch.rand(35, 1, 8, 8, dtype=torch.float64) * 2 - 1, latent=4)
    oracle = Importance(MAKES[name](source, batch=8), (1.0, 5.0, 2.0, 0.5))
    assert "the 4 mini-batches of" in oracle.bind(game)
    oracle.draw()
    moved(game)
    assert mean_error(game, oracle) < 1e-12


def test_draws_follow_the_constants_and_the_estimate_is_what_it_says(finite_sum) -> None:
    game, _ = finite_sum
    source = IndexSource(5)
    constants = torch.tensor([1.0, 2.0, 3.0, 4.0, 10.0])
    oracle = Importance(Stochastic(source, batch=1), constants)
    drawn = [oracle.draw() for _ in range(4000)]
    shares = torch.bincount(torch.stack([s.sample.index[0] for s in drawn]), minlength=5) / 4000
    assert (shares - constants / 20).abs().max() < 0.02
    i = int(drawn[0].sample.index)
    expected = (game.matrices @ game.joint() + game.offsets)[i] / (5 * float(constants[i]) / 20)
    assert (flat(oracle(game, drawn[0])) - expected).norm() < 1e-13
    assert oracle.draws == oracle.oracle.draws == 4000


def test_constants_proportional_to_the_summands_remove_the_noise(finite_sum) -> None:
    """With p_i proportional to ||F_i(w)|| no sampling of single component functions has less variance."""
    game, source = finite_sum
    rows = game.matrices @ game.joint() + game.offsets
    rows[:10] *= 20.0
    game.matrices, game.offsets = game.matrices.clone(), game.offsets.clone()
    game.matrices[:10] *= 20.0
    game.offsets[:10] *= 20.0
    second = {}
    for name, constants in {"uniform": torch.ones(50), "norms": rows.norm(dim=1)}.items():
        oracle = Importance(Stochastic(source, batch=1), constants)
        second[name] = sum(p * float(flat(oracle(game, s)).square().sum()) for p, s in oracle.outcomes())
    assert second["norms"] == pytest.approx(float(rows.norm(dim=1).mean()) ** 2, rel=1e-10)
    assert second["norms"] < 0.6 * second["uniform"]


def test_refusals(finite_sum) -> None:
    game, source = finite_sum
    ones = [1.0] * 50
    with pytest.raises(InvalidType, match="Importance.oracle is FullBatch: expected Stochastic or SVRG"):
        Importance(FullBatch(source), ones)
    with pytest.raises(InvalidType, match="Importance.oracle is SAGA: expected Stochastic or SVRG"):
        Importance(SAGA(source, batch=1), ones)
    with pytest.raises(InvalidValue, match="there are 50 constants for 12 mini-batches of 4: expected as many"):
        Importance(Stochastic(source, batch=4), ones)
    with pytest.raises(InvalidValue, match="the smallest constant is 0.0: expected finite numbers > 0"):
        Importance(Stochastic(source, batch=1), [0.0, *ones[1:]])
    with pytest.raises(
        InvalidValue, match="SVRG.batch is 4 and its component functions are samples, whose weights differ"
    ):
        Importance(SVRG(source, batch=4), [1.0] * 12).bind(game)
    with pytest.raises(InvalidValue, match="when is 'helps', which measures uniform draws: expected 'always'"):
        Importance(SVRG(source, batch=1, when="helps"), ones)
    with pytest.raises(InvalidValue, match="schedule is 'adaptive', which measures uniform draws: expected another"):
        Importance(SVRG(source, batch=1, schedule="adaptive"), ones)
    shuffled = PairedSource(torch.zeros(50, 2), latent=1, order="shuffled")
    with pytest.raises(InvalidValue, match="source.order is 'shuffled', which importance sampling replaces"):
        Importance(Stochastic(shuffled, batch=1), ones)
