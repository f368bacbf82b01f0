"""The trace: divergences against closed forms and one another, floors at their rate, rises where they are planted."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import binomtest, entropy, wasserstein_distance

from manypaths import Adversarial, Minimax, NonSaturating, Population, Wasserstein
from manypaths.errors import InvalidType, InvalidValue
from manypaths.metrics import DivergenceTrace, Gaussian, Grid, noise_floor
from manypaths.metrics.base import apply
from manypaths.metrics.field_norm import field_norm, member_field_norms
from manypaths.metrics.frechet import frechet_distance
from manypaths.metrics.gaussians import gaussian_kullback_leibler, squared_bures
from manypaths.metrics.nearest_neighbours import neighbour_jensen_shannon, neighbour_kullback_leibler
from manypaths.metrics.sample_divergences import MEASURES, in_parts
from manypaths.models import MlpCritic, MlpGenerator
from manypaths.populations.source import MemberSamples
from manypaths.sources import GanSample


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def two() -> tuple[Gaussian, Gaussian]:
    """Two correlated Gaussians of the plane."""
    roots = normal(2, 2, 2, seed=7)
    covariances = roots @ roots.mT + 0.5 * torch.eye(2, dtype=torch.float64)
    return Gaussian(torch.tensor([0.5, -0.2]), covariances[0]), Gaussian(torch.zeros(2), covariances[1])


def test_gaussians_in_closed_form_and_by_quadrature_agree(two) -> None:
    grid = Grid((-18.0, -18.0), (18.0, 18.0), 300)
    trace = DivergenceTrace(("kl", "reverse-kl", "jsd", "objective", "w2"), grid=grid, objective=NonSaturating())
    closed = trace.observe(0, known=two)
    integrals = DivergenceTrace(("kl", "reverse-kl"), grid=grid).observe(
        0, known=(two[0].log_density, two[1].log_density)
    )
    for name in ("kl", "reverse-kl"):
        assert (closed[name].how, integrals[name].how) == ("closed form", "quadrature")
        assert float(closed[name].value) == pytest.approx(float(integrals[name].value), rel=1e-10)
    # the identity behind NS-GAN's divergence: KL(q || p) - 2 JSD(p, q)
    expected = float(closed["reverse-kl"].value - 2 * closed["jsd"].value)
    assert float(closed["objective"].value) == pytest.approx(expected, rel=1e-9)


def test_bures_by_hand_and_against_torchmetrics() -> None:
    diagonal = [
        Gaussian(torch.tensor(m), torch.diag(torch.tensor(v)))
        for m, v in (([3.0, 0.0], [4.0, 0.0]), ([0.0, 4.0], [1.0, 9.0]))
    ]
    assert float(squared_bures(*diagonal)) == pytest.approx(25 + (2 - 1) ** 2 + 9, rel=1e-12)
    points = normal(2, 60, 3), 2 * normal(2, 50, 3, seed=2)
    found = MEASURES["frechet"](*points)
    for value, one, other in zip(found, *points, strict=True):
        assert float(value) == pytest.approx(frechet_distance(one, other), rel=1e-8)
    with pytest.raises(InvalidValue, match="a covariance is singular"):
        gaussian_kullback_leibler(diagonal[1], diagonal[0])


def test_integrals_on_the_line_against_scipy() -> None:
    one, other = Gaussian(torch.tensor([1.0]), torch.tensor([[0.25]])), Gaussian(torch.zeros(1), torch.ones(1, 1))
    grid = Grid((-9.0,), (9.0,), 900)
    names = ("kl", "jsd", "w1", "objective")
    found = DivergenceTrace(names, grid=grid, objective=Wasserstein()).observe(
        0, known=(one.log_density, other.log_density)
    )
    q, p = (g.log_density(grid.points).exp().numpy() for g in (one, other))
    assert float(found["kl"].value) == pytest.approx(entropy(p, q), rel=1e-9)
    assert float(found["kl"].value) == pytest.approx(float(gaussian_kullback_leibler(other, one)), rel=1e-9)
    middle = (p + q) / 2
    assert float(found["jsd"].value) == pytest.approx((entropy(p, middle) + entropy(q, middle)) / 2, rel=1e-9)
    line = grid.points[:, 0].numpy()
    assert float(found["w1"].value) == pytest.approx(wasserstein_distance(line, line, p, q), rel=1e-9)
    assert float(found["objective"].value) == float(found["w1"].value)
    with pytest.raises(InvalidValue, match=r"the grid holds 0\.68\d+ of a density's mass: expected 1 up to 1e-4"):
        Grid((-1.0,), (1.0,), 100).log_masses(other.log_density)


def test_neighbours_by_hand_and_in_the_limit(two) -> None:
    x = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    y = torch.tensor([[0.5], [5.0]], dtype=torch.float64)
    # rho = 1, 1, 2 and nu = 0.5, 0.5, 2
    by_hand = (2 * math.log(0.5) + math.log(1.0)) / 3 + math.log(2 / 2)
    assert float(neighbour_kullback_leibler(x, y, neighbours=1)) == pytest.approx(by_hand, rel=1e-12)
    samples = [g.mean + normal(1500, 2, seed=i) @ torch.linalg.cholesky(g.covariance).T for i, g in enumerate(two)]
    exact = float(gaussian_kullback_leibler(*two))
    assert float(neighbour_kullback_leibler(*samples)) == pytest.approx(exact, abs=0.12)
    trace = DivergenceTrace(("jsd",), grid=Grid((-14.0, -14.0), (14.0, 14.0), 200))
    exact = float(trace.observe(0, known=two)["jsd"].value)
    assert float(neighbour_jensen_shannon(*samples)) == pytest.approx(exact, abs=0.03)
    far = float(neighbour_jensen_shannon(samples[0], samples[1] + 1000))
    assert far == pytest.approx(math.log(2), abs=1e-3)


def test_mmd_of_shifted_gaussians_against_its_closed_form() -> None:
    x, y = normal(1, 2000, 1), normal(1, 2000, 1, seed=2) + 1.0
    h2 = float(torch.pdist(y[0]).median()) ** 2
    kernel = lambda gap: (h2 / (h2 + 2)) ** 0.5 * math.exp(-(gap**2) / (2 * (h2 + 2)))  # noqa: E731
    assert float(MEASURES["mmd"](x, y)) == pytest.approx(2 * kernel(0) - 2 * kernel(1), abs=0.02)
    halves = torch.cat([in_parts(MEASURES["mmd"], x[:, a : a + 1000], y[:, :1000]) for a in (0, 1000)])
    together = in_parts(MEASURES["mmd"], x.reshape(2, 1000, 1), y[:, :1000].expand(2, -1, -1))
    assert torch.allclose(together, halves, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("quantity", ["frechet", "mmd", "kl", "jsd"])
@pytest.mark.parametrize("fixed_reference", [False, True])
def test_the_floor_holds_its_rate_on_a_thousand_null_pairs(quantity, fixed_reference) -> None:
    """Members are the pairs; the number of false rises lies in the central 99.9 % of its binomial law."""
    pairs, n, alpha = 1000, 24, 0.05
    trace = DivergenceTrace((quantity,), alpha=alpha, nulls=9, blocks=2, seed=3)
    reference = normal(pairs, n, 2, seed=5)
    for step in range(2):
        fresh = reference if fixed_reference else normal(pairs, n, 2, seed=10 + step)
        trace.observe(step, 0.5 + normal(pairs, n, 2, seed=20 + step), fresh)
    share = trace.rises()[quantity]
    assert (share.n, share.false_rate) == (pairs, alpha)
    assert binomtest(share.k, pairs, alpha).pvalue > 1e-3


def test_the_critics_value_holds_its_rate_too() -> None:
    trace = DivergenceTrace(("critic",), alpha=0.1, nulls=9, objective=Minimax(), seed=3)
    for step in range(2):
        trace.observe(step, scores=(normal(1000, 30, seed=step) - 1, normal(1000, 30, seed=9 + step)))
    share = trace.rises()["critic"]
    assert binomtest(share.k, 1000, 0.1).pvalue > 1e-3
    fake, real = normal(30, seed=1) - 1, normal(30, seed=10)
    assert float(trace.readings["critic"][1].value[0]) != float(-Minimax().critic(real, fake))  # another stream
    alone = DivergenceTrace(("critic",), objective=Minimax()).observe(0, scores=(fake, real))
    assert float(alone["critic"].value) == pytest.approx(float(-Minimax().critic(real, fake)), rel=1e-12)


def test_planted_rises_are_found_and_only_they() -> None:
    """The mean goes 4, 3, 2, 3.5, 1: one rise, by every quantity."""
    means, base, data = (4.0, 3.0, 2.0, 3.5, 1.0), normal(60, 2), normal(60, 2, seed=2)
    names = ("kl", "reverse-kl", "w1", "w2", "frechet", "mmd")
    trace = DivergenceTrace(names, nulls=9, seed=1)
    for step, mean in enumerate(means):
        trace.observe(step, base + mean / 2**0.5, data, values={"field norm": mean})
    for name, share in trace.rises().items():
        assert (share.k, share.n) == (1, 4), name
        assert [bool(r.rose) for r in trace.readings[name]] == [False, False, False, True, False]
    assert trace.rises()["field norm"].false_rate == 0.0
    columns = trace.columns()
    assert len(columns["step"]) == 5 * 7
    assert sum(columns["rose"]) == 7
    assert trace.rises(member=0) == trace.rises()


def test_members_are_read_as_alone_and_a_diverged_one_disturbs_nobody() -> None:
    points, data = normal(3, 40, 2), normal(3, 40, 2, seed=2)
    points[1] = torch.nan
    trace = DivergenceTrace(("frechet", "w2"))
    found = trace.observe(0, points, data)
    trace.observe(1, points + 1, data)
    for i in (0, 2):
        alone = DivergenceTrace(("frechet", "w2")).observe(0, points[i], data[i])
        for name, reading in alone.items():
            assert float(found[name].value[i]) == pytest.approx(float(reading.value), rel=1e-10)
            assert float(found[name].error[i]) == pytest.approx(float(reading.error), rel=1e-8)
    assert trace.rises()["w2"].n == 2
    assert trace.rises(member=1)["w2"].n == 0


def test_the_stated_error_is_that_of_repetitions() -> None:
    shift = torch.tensor([2.0, 0.0], dtype=torch.float64)
    repeated = DivergenceTrace(("frechet",), blocks=10).observe(
        0, normal(300, 400, 2) + shift, normal(300, 400, 2, seed=2)
    )
    deviation = float(repeated["frechet"].value.std())
    assert float(repeated["frechet"].error.mean()) == pytest.approx(deviation, rel=0.15)


def test_images_are_compared_in_features(planted, pictures) -> None:
    net, trace = planted(4), DivergenceTrace(("frechet", "mmd"))
    found = trace.observe(0, pictures(30, 1), pictures(30, 2), net=net)
    features = [apply(net.net.features, pictures(30, seed)) for seed in (1, 2)]
    assert float(found["frechet"].value) == pytest.approx(frechet_distance(*features), rel=1e-8)
    assert float(found["mmd"].value) == pytest.approx(float(MEASURES["mmd"](*features)), rel=1e-12)
    with pytest.raises(InvalidType, match="'kl' needs points: of images expected one of w1, w2, frechet, mmd"):
        DivergenceTrace(("kl",)).observe(0, pictures(30, 1), pictures(30, 2), net=net)


def test_what_cannot_be_read_is_said() -> None:
    with pytest.raises(InvalidValue, match=r"nulls is 8 and alpha 0\.05: expected at least 9"):
        DivergenceTrace(("kl",), nulls=8)
    with pytest.raises(InvalidType, match="'critic' is read off the objective"):
        DivergenceTrace(("critic",))
    with pytest.raises(InvalidType, match="'objective' is an integral over known densities"):
        DivergenceTrace(("objective",), objective=Minimax())
    with pytest.raises(InvalidValue, match="unknown value of DivergenceTrace.quantities"):
        DivergenceTrace(("fretchet",))
    trace = DivergenceTrace(("frechet",))
    with pytest.raises(InvalidValue, match="nothing to read 'frechet' from at step 0: expected generated and"):
        trace.observe(0)
    trace.observe(0, normal(20, 2), normal(20, 2))
    with pytest.raises(InvalidValue, match="step is 0 after 0: expected a larger one"):
        trace.observe(0, normal(20, 2), normal(20, 2))
    with pytest.raises(InvalidValue, match=r"has sets of shapes \(1, 30, 2\) and \(1, 20, 2\) after"):
        trace.observe(1, normal(30, 2), normal(20, 2))


@pytest.mark.parametrize(("nulls", "alpha", "expected"), [(9, 0.05, 9), (19, 0.05, 18), (99, 0.05, 90), (1, 0.25, 1)])
def test_the_rank_of_the_floor(nulls, alpha, expected) -> None:
    """P(rise) = (nulls + 1 - rank) / (nulls + 1) / 2 = alpha."""
    assert noise_floor.rank(nulls, alpha) == expected
    assert (nulls + 1 - expected) / (nulls + 1) / 2 == pytest.approx(alpha)


def test_member_field_norms_are_those_of_the_members_alone() -> None:
    def make(seed: int) -> Adversarial:
        torch.manual_seed(seed)
        return Adversarial(MlpGenerator(latent=1, hidden=()), MlpCritic(hidden=(4,)), objective=NonSaturating())

    population = Population.of(make, 3)
    samples = [GanSample(torch.randn(6, 2), torch.randn(6, 1), torch.arange(6)) for _ in range(3)]
    found = member_field_norms(population, MemberSamples.stack(samples))
    for i, sample in enumerate(samples):
        assert float(found[i]) == pytest.approx(field_norm(make(i), sample), rel=1e-5)
