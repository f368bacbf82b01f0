"""SVRG with a coefficient: unbiased whatever it is, and with the best one never above the mini-batch's variance."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.metrics.gradient_noise import gradient_noise
from manypaths.oracles.importance import Importance
from manypaths.oracles.svrg import SVRG
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.rules.variance_reduced_extragradient import VarianceReducedExtragradient
from manypaths.sources.base import Index, IndexSource
from manypaths.testing.conformance import check_oracle, mean_error, small_gan, small_source
from manypaths.training import Training
from manypaths.vectors import flat

N, D = 40, 4


def noisy(seed: int = 0, *, n: int = N) -> Quadratic:
    """A finite sum whose gradients at two points are less correlated the farther these are apart."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    factors = draw(n, 2, D, D) / D**0.5
    matrices = torch.zeros(n, 2 * D, 2 * D, dtype=torch.float64)
    matrices[:, :D, :D], matrices[:, D:, D:] = (factors[:, i] @ factors[:, i].mT for i in (0, 1))
    matrices[:, :D, D:] = draw(n, D, D)
    matrices[:, D:, :D] = -matrices[:, :D, D:].mT
    return Quadratic(matrices, draw(n, 2 * D))


def training_of(game, oracle, rule=None, lr: float = 0.05) -> Training:
    optimizers = {name: torch.optim.SGD(game.parameters(name), lr=lr) for name in game.players}
    return Training(game, oracle, rule or Simultaneous(), optimizers)


def rows_at(game: Quadratic, w: torch.Tensor) -> torch.Tensor:
    return torch.einsum("nij,j->ni", game.matrices, w) + game.offsets


CHOICES = [
    {"coefficient": 0.4},
    {"coefficient": "linear", "over": 100, "start": 0.5},
    {"coefficient": "optimal"},
    {"coefficient": "optimal", "grain": "tensor"},
]


@pytest.mark.parametrize("options", CHOICES, ids=str)
@pytest.mark.parametrize("rule", [Simultaneous(), Extragradient(), Extragradient(fresh_sample=False, at="opponent")])
def test_unbiased_by_enumeration_in_the_middle_of_training(options, rule) -> None:
    game = noisy()
    oracle = SVRG(IndexSource(N), batch=1, schedule="fixed", every=1000, **options)
    training = training_of(game, oracle, rule)
    for _ in range(6):
        training.step()
        oracle.draw()
        assert mean_error(game, oracle) < 1e-12
        oracle.alpha.discard()
    assert options["coefficient"] != "optimal" or float((oracle.alpha.of("x") - 1.0).abs().min()) > 1e-3


@pytest.mark.parametrize("store", ["none", "game", "bfloat16"])
def test_unbiased_with_networks_and_stored_gradients(store) -> None:
    game = small_gan()
    oracle = SVRG(small_source(32), batch=8, schedule="fixed", every=1000, coefficient="optimal", store=store)
    training = training_of(game, oracle, Extragradient(), lr=0.5)
    for _ in range(4):
        training.step()
    assert mean_error(game, oracle) < 1e-12


def test_alpha_is_that_of_the_earlier_batches_by_hand() -> None:
    """Running means of <F_B(w) - F(w_S), F_B(w_S) - F(w_S)> and its square, of the batches before; 1 at first."""
    game = noisy()
    oracle = SVRG(IndexSource(N, seed=3), batch=1, schedule="fixed", every=1000, coefficient="optimal")
    training, shadow = training_of(game, oracle), IndexSource(N, seed=3)
    w = start = game.joint()
    there, mean = rows_at(game, start), rows_at(game, start).mean(0)
    means, alpha = None, torch.ones(2, dtype=torch.float64)
    for _ in range(20):
        i = int(shadow.sample(1).index)
        now, centred = rows_at(game, w)[i], there[i] - mean
        estimate = now - alpha.repeat_interleave(D) * centred
        w = w - 0.05 * estimate
        training.step()
        assert (game.joint() - w).abs().max() < 1e-13
        found = torch.stack([((now - mean) * centred).view(2, D).sum(1), centred.square().view(2, D).sum(1)])
        means = found if means is None else 0.9 * means + 0.1 * found
        alpha = means[0] / means[1]
    assert 0.2 < float(alpha.min()) < float(alpha.max()) < 1.5


def test_the_variance_stays_below_the_mini_batchs_where_plain_svrg_passes_it() -> None:
    """Measured exactly, by enumeration, on the way from one snapshot; beside the bound 1 - rho^2."""
    found = {}
    for coefficient in (1.0, "optimal"):
        game = noisy()
        oracle = SVRG(IndexSource(N), batch=2, schedule="fixed", every=10**6, coefficient=coefficient)
        training = training_of(game, oracle, Extragradient(), lr=0.05)
        shot, ratios, bounds = rows_at(game, game.joint()), [], []
        for _ in range(60):
            training.step()
            now = rows_at(game, game.joint())
            alpha = oracle.alpha.of("x")
            x, y = (rows[:, :D] - rows[:, :D].mean(0) for rows in (now, shot))
            ratios.append(float((x - float(alpha) * y).square().sum() / x.square().sum()))
            bounds.append(float(1 - (x * y).sum() ** 2 / (x.square().sum() * y.square().sum())))
        found[coefficient] = max(ratios)
    assert found[1.0] > 2.0
    assert found["optimal"] < 1.05
    assert max(bounds) < 1.0


def test_linear_decay_is_constant_between_snapshots_and_ends_at_the_mini_batch() -> None:
    game = noisy()
    oracle = SVRG(IndexSource(N), batch=1, schedule="fixed", every=5, coefficient="linear", start=0.5, over=20)
    training, alphas, costs = training_of(game, oracle), [], []
    for _ in range(30):
        spent = oracle.evaluations["x"]
        training.step()
        alphas.append(oracle.alpha.number)
        costs.append(oracle.evaluations["x"] - spent)
    assert alphas[:4] == [0.5] * 4
    assert alphas[4:9] == [pytest.approx(0.375)] * 5
    assert alphas[19:] == [0.0] * 11
    assert costs[20:] == [1] * 10, "no evaluation at the snapshot and no full pass any more"
    sample = Index(torch.tensor([3]))
    assert torch.equal(flat(oracle(game, sample)), flat(game.gradients(sample)))


def test_helps_is_the_coefficient_zero_or_one() -> None:
    """Where the ratio is above 1 the estimate is that of coefficient 0, to the bit, and else that of 1."""
    for helps, same in ((2.0, 0.0), (0.5, 1.0)):
        game = noisy()
        oracles = [
            SVRG(IndexSource(N), batch=1, when="helps", check_every=10**6),
            SVRG(IndexSource(N), batch=1, coefficient=same),
        ]
        for oracle in oracles:
            oracle.bind(game)
            oracle.take_snapshot(game)
        game.move_to({name: [w + 1.0 for w in ws] for name, ws in game.point().items()})
        oracles[0].watch.ratios = dict.fromkeys("xy", helps)
        sample = Index(torch.tensor([3]))
        first, second = (flat(oracle(game, sample)) for oracle in oracles)
        assert torch.equal(first, second)


@pytest.mark.parametrize("grain", ["player", "tensor"])
def test_a_member_of_a_population_has_an_alpha_of_its_own(grain) -> None:
    def make(source, seed):
        return SVRG(source, batch=1, schedule="loopless", every=5, coefficient="optimal", grain=grain, seed=seed)

    games = [noisy() for _ in range(3)]
    for seed, game in enumerate(games):
        game.move_to({name: [w * (1 + seed) for w in ws] for name, ws in game.point().items()})
    together = training_of(
        Population(games), make(PopulationSource.of(lambda seed: IndexSource(N, seed=seed), 3), 0), Extragradient()
    )
    for _ in range(25):
        together.step()
    for seed in range(3):
        game = noisy()
        game.move_to({name: [w * (1 + seed) for w in ws] for name, ws in game.point().items()})
        alone = training_of(game, make(IndexSource(N, seed=seed), seed), Extragradient())
        for _ in range(25):
            alone.step()
        with together.game.member(seed) as member:
            assert (member.joint() - game.joint()).abs().max() < 1e-11


@pytest.mark.parametrize(
    "options",
    [
        {"coefficient": "optimal"},
        {"coefficient": "optimal", "grain": "tensor", "store": "bfloat16"},
        {"coefficient": "optimal", "schedule": "adaptive", "check_every": 2},
        {"coefficient": "linear", "over": 12},
        {"coefficient": 0.5},
    ],
    ids=str,
)
def test_conformance(options) -> None:
    check_oracle(lambda source: SVRG(source, batch=8, **{"every": 3, **options}))


def test_the_ratio_that_decides_is_that_of_the_estimate_with_its_coefficient() -> None:
    """F_i(w) = +-(w + 1) and w_S = 0: with alpha* = w + 1 nothing is left of the noise, however old the snapshot."""
    sign = torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat(N // 2)
    eye = torch.eye(2, dtype=torch.float64)
    game = Quadratic(sign[:, None, None] * eye, sign[:, None].expand(N, 2), torch.zeros(2).double())
    options = {"schedule": "adaptive", "check_every": 3, "probes": 12}
    for coefficient, due in ((1.0, True), ("optimal", False)):
        game.move_to({name: [0.0 * w for w in ws] for name, ws in game.point().items()})
        oracle = SVRG(IndexSource(N), batch=1, coefficient=coefficient, **options)
        oracle.bind(game)
        oracle.take_snapshot(game)
        game.move_to({"x": [torch.full((1,), 9.0, dtype=torch.float64)]})
        for _ in range(3):
            oracle(game, oracle.draw())
        assert bool(oracle.due()) == due
        assert oracle.watch.ratios["x"] == pytest.approx(0.81 if due else 0.0, abs=1e-12)


def test_gradient_noise_measures_the_estimate_with_its_coefficient() -> None:
    game = noisy()
    oracle = SVRG(IndexSource(N), batch=2, schedule="fixed", every=10**6, coefficient=0.0)
    training = training_of(game, oracle)
    for _ in range(5):
        training.step()
    for value in gradient_noise(game, oracle, draws=5).values():
        assert value.ratio == pytest.approx(1.0, rel=1e-12)


def test_refusals() -> None:
    source = IndexSource(N)
    for options, message in (
        ({"coefficient": 1.0, "grain": "tensor"}, "grain is 'tensor' and coefficient 1.0, one for all"),
        ({"coefficient": "linear"}, "coefficient is 'linear': expected over"),
        ({"coefficient": "optimal", "over": 3}, "coefficient is 'optimal', which does not decay"),
        ({"coefficient": "optimal", "when": "helps"}, "when is 'helps', which chooses between 0 and 1"),
        ({"coefficient": -1.0}, r"SVRG.coefficient is -1.0: expected a number >= 0"),
        ({"coefficient": "best"}, "SVRG.coefficient"),
    ):
        with pytest.raises((InvalidValue, InvalidType), match=message):
            SVRG(source, batch=1, **options)
    with pytest.raises(InvalidValue, match="coefficient is 'optimal': expected 1 inside Importance"):
        Importance(SVRG(source, batch=1, coefficient="optimal"), [1.0] * N)
    with pytest.raises(InvalidType, match="needs the whole correction: SVRG.coefficient is 0.5"):
        training_of(noisy(), SVRG(source, batch=1, coefficient=0.5), VarianceReducedExtragradient())
