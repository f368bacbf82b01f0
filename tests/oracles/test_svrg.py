"""SVRG: unbiased, exact at the snapshot, blind to the order of things, honest about cost."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.saga import SAGA
from manypaths.oracles.snapshot_schedule import SnapshotSchedule
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.variance import Spread
from manypaths.penalties.dragan import Dragan
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.penalties.r1 import R1
from manypaths.populations.source import PopulationSource
from manypaths.randomness import Coins
from manypaths.rules.extragradient import Extragradient
from manypaths.sources.base import FunctionSource, Index, IndexSource
from manypaths.sources.paired import PairedSource
from manypaths.testing.conformance import check_pure, mean_error
from manypaths.training import Training
from manypaths.vectors import flat


def digits_gan(norm: str, penalties=(), *, spectral: bool = False) -> tuple[Adversarial, PairedSource]:
    """An 8x8 DCGAN in float64 on 70 random images."""
    generator = torch.Generator().manual_seed(0)
    real = torch.rand(70, 1, 8, 8, generator=generator, dtype=torch.float64) * 2 - 1
    nets = DcganGenerator(size=8, latent=4, width=4, norm=norm), DcganCritic(size=8, width=4, norm=norm)
    if spectral:
        for layer in nets[1].modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.utils.parametrizations.spectral_norm(layer)
    game = Adversarial(*(n.double() for n in nets), objective=NonSaturating(), penalties=penalties)
    return game, PairedSource(real, latent=4)


def wander(game, oracle, distance: float = 0.02) -> None:
    """Away from the snapshot, in weights and in buffers."""
    oracle.take_snapshot(game)
    game.move_to({n: [w + distance * torch.randn_like(w) for w in ws] for n, ws in game.point().items()})
    game.gradients(oracle.draw(), moves_buffers=True)


@pytest.mark.parametrize(
    "penalties",
    [(), (R1(1.0),), (GradientPenalty(),), (Dragan(std=0.6),)],
    ids=["none", "r1", "interpolated", "dragan"],
)
def test_mean_over_all_samples_is_the_full_gradient(penalties) -> None:
    game, source = digits_gan("none", penalties)
    oracle = SVRG(source, batch=16)
    assert oracle.bind(game) is None
    wander(game, oracle)
    assert mean_error(game, oracle) < 1e-12


def test_mean_over_the_partition_is_the_full_gradient_with_batchnorm() -> None:
    game, source = digits_gan("batch")
    oracle = SVRG(source, batch=16)
    assert "mini-batches of 16 of a fixed partition" in oracle.bind(game)
    wander(game, oracle)
    assert mean_error(game, oracle) < 1e-12


def test_spectral_norm_evaluations_are_pure_and_unbiased() -> None:
    game, source = digits_gan("none", (R1(1.0),), spectral=True)
    check_pure(game, source.sample(8))
    oracle = SVRG(source, batch=16)
    oracle.bind(game)
    wander(game, oracle)
    assert mean_error(game, oracle) < 1e-12


def test_dropout_masks_are_part_of_the_sample() -> None:
    game, source = digits_gan("none")
    critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.4), torch.nn.Linear(64, 1), torch.nn.Flatten(0))
    game = Adversarial(game.generator, critic.double(), objective=NonSaturating())
    assert game.couples_samples
    check_pure(game, source.sample(8))
    oracle = SVRG(source, batch=16)
    oracle.bind(game)
    wander(game, oracle)
    assert mean_error(game, oracle) < 1e-12


@pytest.mark.parametrize("penalty", [GradientPenalty(), Dragan(), Dragan(std=0.6), R1()])
def test_penalties_on_a_batchnorm_critic_warn_and_work(penalty) -> None:
    with pytest.warns(UserWarning, match="use a critic without BatchNorm"):
        game, source = digits_gan("batch", (penalty,))
    oracle = SVRG(source, batch=16)
    oracle.bind(game)
    wander(game, oracle)
    assert mean_error(game, oracle) < 1e-12


def test_at_the_snapshot_every_estimate_is_the_full_gradient(finite_sum) -> None:
    game, source = finite_sum
    oracle = SVRG(source, batch=1)
    oracle.bind(game)
    oracle.take_snapshot(game)
    estimate = flat(oracle(game, Index(torch.tensor([7]))))
    assert (estimate - game.field(game.joint())).norm() < 1e-14


def test_cost_of_an_svre_iteration_is_five(finite_sum) -> None:
    game, source = finite_sum
    oracle = SVRG(source, batch=1, schedule="svre", seed=3)
    optimizers = {n: torch.optim.SGD(game.parameters(n), lr=0.01) for n in game.players}
    training = Training(game, oracle, Extragradient(), optimizers)
    oracle.take_snapshot(game)
    for _ in range(1500):
        training.step()
    for name in game.players:
        assert oracle.evaluations[name] / 1500 == pytest.approx(5.0, rel=0.1)


def test_svre_converges_where_stochastic_extragradient_stalls(finite_sum) -> None:
    game, source = finite_sum
    start, ends = game.point(), {}
    for name, oracle in (("svre", SVRG(source, batch=1)), ("stochastic", Stochastic(source, batch=1))):
        game.move_to(start)
        optimizers = {n: torch.optim.SGD(game.parameters(n), lr=0.1) for n in game.players}
        training = Training(game, oracle, Extragradient(), optimizers)
        for _ in range(2000):
            training.step()
        ends[name] = float((game.joint() - game.solution()).norm())
    assert ends["svre"] < 1e-4 < 1e-2 < ends["stochastic"]


def test_restart_moves_to_the_average_before_the_snapshot(finite_sum) -> None:
    game, source = finite_sum
    start, iterates = game.point(), {}
    for restart in (0.0, 1.0):
        game.move_to(start)
        average = UniformAverage(restart=restart)
        optimizers = {n: torch.optim.SGD(game.parameters(n), lr=0.1) for n in game.players}
        oracle = SVRG(IndexSource(source.size), batch=1, schedule="fixed", every=6)
        training = Training(game, oracle, Extragradient(), optimizers, averages=average)
        infos = [(training.step(), game.joint()) for _ in range(3)]
        iterates[restart] = [w for _, w in infos]
        assert [info.jumped for info, _ in infos] == [False, False, restart == 1.0]
    assert (iterates[1.0][2] - torch.stack(iterates[0.0]).mean(0)).norm() < 1e-14
    assert average.count == 0
    assert (flat(oracle(game, Index(torch.tensor([0])))) - game.field(game.joint())).norm() < 1e-14, (
        "the snapshot is taken where the iterate landed"
    )


@pytest.mark.parametrize(("name", "mean"), [("fixed", 10), ("geometric", 10), ("loopless", 10), ("svre", 20)])
def test_cadences(name, mean) -> None:
    timer = SnapshotSchedule(name, 10, Coins((0,), "cadence"))
    ages = []
    for _ in range(30_000):
        timer.advance()
        timer.advance()
        if timer.due():
            ages.append(int(timer.drawn))
            timer.restart()
    average = sum(ages) / len(ages)
    # ages are even; a geometric age is rounded up to the next step, which adds half a draw on average
    assert average == pytest.approx(mean, rel=0.08)
    if name == "fixed":
        assert set(ages) == {10}


def test_helps_switches_variance_reduction_off_where_it_hurts() -> None:
    n = 40
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(n, 2, 2, generator=generator, dtype=torch.float64)
    matrices[:, 0, 0], matrices[:, 1, 1] = matrices[:, 0, 0].abs(), matrices[:, 1, 1].abs()
    from manypaths.games.analytic.quadratic import Quadratic

    game = Quadratic(matrices, start=torch.tensor([0.1, 0.1], dtype=torch.float64))
    oracle = SVRG(IndexSource(n), batch=1, when="helps", check_every=1, probes=30)
    oracle.bind(game)
    oracle.take_snapshot(game)
    near = {name: [w + 0.001 for w in ws] for name, ws in game.point().items()}
    far = {name: [w * 0.0 + 1e-3 for w in ws] for name, ws in game.point().items()}
    game.move_to(near)
    sample = oracle.draw()
    reduced = flat(oracle(game, sample))
    assert (reduced - flat(game.gradients(sample))).norm() > 1e-3, "near the snapshot it is used"
    game.move_to(far)
    sample = oracle.draw()
    spent = oracle.evaluations["x"]
    assert torch.equal(flat(oracle(game, sample)), flat(game.gradients(sample))), "where noise is small it is not"
    assert oracle.evaluations["x"] - spent == 2 * 30 + 1, "probes are counted, the snapshot's evaluation is not"


def signs(**options) -> tuple:
    """F_i(w) = +-(w + 1) with w_S = 0, so that the variance ratio is (w / (w + 1))^2, whatever is drawn."""
    from manypaths.games.analytic.quadratic import Quadratic

    n, two = 40, torch.float64
    sign = torch.tensor([-1.0, 1.0], dtype=two).repeat(n // 2)
    game = Quadratic(sign[:, None, None] * torch.eye(2, dtype=two), sign[:, None].expand(n, 2), torch.zeros(2).double())
    oracle = SVRG(IndexSource(n), batch=1, check_every=3, probes=12, **options)
    oracle.bind(game)
    oracle.take_snapshot(game)

    def ask(x: float) -> bool:
        """One batch drawn and evaluated at (x, 0); whether a snapshot is due."""
        game.move_to({"x": [torch.full((1,), x, dtype=two)]})
        oracle(game, oracle.draw())
        return bool(oracle.due())

    return game, oracle, ask


def test_adaptive_refresh_where_the_ratio_passes_the_threshold() -> None:
    game, oracle, ask = signs(schedule="adaptive")
    assert [ask(9.0), ask(9.0)] == [False, False], "not before it is measured"
    spent = oracle.evaluations["x"]
    assert not ask(1.0)
    assert oracle.watch.ratios == {"x": pytest.approx(0.25, abs=1e-12), "y": 0.0}
    assert oracle.evaluations["x"] - spent == 2 * 12 + 2, "probes are counted"
    assert [ask(3.0), ask(3.0), ask(3.0)] == [False, False, True]
    assert oracle.watch.ratios["x"] == pytest.approx(0.5625, abs=1e-12)
    oracle.take_snapshot(game)
    assert not oracle.due()
    assert oracle.age == 0
    assert not ask(3.0)
    _, oracle, ask = signs(schedule="adaptive", every=2, threshold=2.0)
    assert [ask(9.0), ask(9.0)] == [False, True], "at the latest at age every"
    _, oracle, ask = signs(schedule="adaptive", threshold=0.9)
    assert [ask(3.0) for _ in range(9)] == [False] * 9


def test_a_new_snapshot_helps_until_it_is_measured() -> None:
    game, oracle, ask = signs(schedule="adaptive", when="helps", threshold=2.0)
    assert [ask(-0.55), ask(-0.55), ask(-0.55)] == [False] * 3
    assert oracle.watch.ratios["x"] == pytest.approx((0.55 / 0.45) ** 2)
    assert (oracle.reduces("x"), oracle.reduces("y")) == (False, True)
    assert [ask(-0.6), ask(-0.6), ask(-0.6)] == [False, False, True]
    oracle.take_snapshot(game)
    assert oracle.reduces("x")


def test_spread_equals_the_covariance_trace() -> None:
    draws = torch.randn(12, 5, dtype=torch.float64) + 1e3
    spread = Spread()
    for row in draws:
        spread.add([row[:2], None, row[2:]])
    assert spread.variance == pytest.approx(float(torch.cov(draws.T).trace()), rel=1e-10)
    assert spread.second_moment == pytest.approx(float(draws.square().sum(1).mean()), rel=1e-12)


def test_refusals() -> None:
    infinite = FunctionSource(lambda n, g: Index(torch.randint(5, (n,), generator=g)))
    with pytest.raises(
        InvalidType, match=r"SVRG needs a finite sum and FunctionSource is infinite: use PairedSource.from_dataset"
    ):
        SVRG(infinite, batch=2)
    with pytest.raises(InvalidValue, match="batch is 60: expected at most the 50 component functions"):
        SVRG(IndexSource(50), batch=60)
    with pytest.raises(InvalidValue, match="SVRG.batch is -1: expected a number >= 1"):
        SVRG(IndexSource(50), batch=-1)
    game, source = digits_gan("batch")
    with pytest.raises(InvalidValue, match="couples the samples of a batch"):
        SVRG(source, batch=16, components="samples").bind(game)
    with pytest.raises(InvalidValue, match="probes is 1: expected at least 2, for a variance needs two draws"):
        SVRG(source, batch=16, schedule="adaptive", probes=1)
    with pytest.raises(InvalidValue, match="not bound to a game"):
        SVRG(source, batch=16).draw()


@pytest.mark.parametrize("make", [SVRG, SAGA, FullBatch])
def test_a_traversal_of_samples_is_refused_where_batches_are_drawn(make) -> None:
    game, source = digits_gan("batch")
    plain, _ = digits_gan("none")
    own = PairedSource(source.real, latent=4, redraw="traversal")
    for traversed, of, options in (
        (own, game, {}),
        (own, plain, {"components": "batches"}),
        (PopulationSource([source, own]), game, {}),
    ):
        with pytest.raises(InvalidValue, match="redraw is 'traversal', .* expected 'refresh' or 'never'"):
            make(traversed, batch=16, **options).bind(of)
    make(own, batch=16).bind(plain)
    make(source, batch=16).bind(game)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"threshold": 0.4}, "SVRG.threshold is 0.4 and has no effect where schedule is 'geometric': leave it away"),
        ({"when": "helps", "threshold": 0.4}, "SVRG.threshold is 0.4 and has no effect where schedule is 'geometric'"),
        ({"check_every": 7}, "SVRG.check_every is 7 and has no effect where nothing is measured"),
        ({"probes": 9}, "SVRG.probes is 9 and has no effect where nothing is measured"),
        ({"budget": 1.0}, "SVRG.budget is 1.0 and has no effect where store is 'none': leave it away"),
    ],
)
def test_settings_without_effect_are_refused(setting, message) -> None:
    with pytest.raises(InvalidValue) as caught:
        SVRG(IndexSource(8), batch=2, **setting)
    assert str(caught.value).startswith(message)
    SVRG(IndexSource(8), batch=2, schedule="adaptive", check_every=7, probes=9, threshold=0.4)
    SVRG(IndexSource(8), batch=2, store="game", budget=1.0)
