"""Penalties by hand: exactly zero on a 1-Lipschitz linear critic, exact on critics of known slope."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manypaths.errors import InvalidValue
from manypaths.models.mlp import MlpCritic
from manypaths.penalties import PENALTIES
from manypaths.penalties.dragan import Dragan
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.penalties.lazy import Lazy
from manypaths.penalties.r1 import R1
from manypaths.penalties.r2 import R2
from manypaths.sources.gan_sample import GanSample

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64)]
NOISES = ("original", "compare-gan", "gaussian")
TARGET_ONE = [
    *(penalty for name in PENALTIES if getattr(penalty := PENALTIES[name](), "target", None) == 1.0),
    GradientPenalty(sides="one"),
    *(Dragan(noise=noise, std=std) for noise in NOISES for std in ("batch", 0.7)),
    Lazy(GradientPenalty(), every=2),
]


class Linear(nn.Module):
    """s(x) = slope <u, x> with ||u|| = 1."""

    def __init__(self, shape, slope=1.0):
        super().__init__()
        u = torch.randn(shape, dtype=torch.float64)
        self.weight = nn.Parameter(slope * u / u.norm())

    def forward(self, x):
        return (x * self.weight).flatten(1).sum(1)


class Square(nn.Module):
    """s(x) = ||x||^2 / 2, whose gradient is x: a penalty reads its own points."""

    def forward(self, x):
        return x.flatten(1).square().sum(1) / 2


def sample(shape, n=6) -> GanSample:
    real = torch.rand(n, *shape, dtype=torch.float64) * 2 - 1
    return GanSample(real, torch.randn(n, 2, dtype=torch.float64), torch.arange(n))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("penalty", TARGET_ONE, ids=repr)
def test_zero_on_a_one_lipschitz_linear_critic(shape, penalty) -> None:
    s = sample(shape)
    assert penalty(Linear(shape), s, torch.zeros_like(s.real)).item() < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_values_on_a_linear_critic(shape) -> None:
    """Slope 3: 10 (3 - 1)^2 = 40; slope 0.5: 10 (0.5 - 1)^2 = 2.5, and nothing where a critic may be flat."""
    s, steep, mild = sample(shape), Linear(shape, 3.0), Linear(shape, 0.5)
    fake = torch.zeros_like(s.real)
    for penalty, at_three, at_half in [
        (GradientPenalty(), 40.0, 2.5),
        (GradientPenalty(sides="one"), 40.0, 0.0),
        (GradientPenalty(target=0.0), 90.0, 2.5),
        (GradientPenalty(2.0, 0.5, "one"), 12.5, 0.0),
        (Dragan(), 40.0, 2.5),
        (R1(2.0), 9.0, 0.25),
        (R2(2.0), 9.0, 0.25),
        (Lazy(R1(2.0), every=1), 9.0, 0.25),
    ]:
        assert penalty(steep, s, fake).item() == pytest.approx(at_three, rel=1e-12), penalty
        assert penalty(mild, s, fake).item() == pytest.approx(at_half, rel=1e-12, abs=1e-25), penalty


def test_where_the_slope_is_taken() -> None:
    s = sample((2, 3, 3), n=50)
    fake = torch.randn_like(s.real) * 5
    mean_square = lambda x: x.square().flatten(1).sum(1).mean().item()  # noqa: E731
    assert R1()(Square(), s, fake).item() == pytest.approx(mean_square(s.real) / 2, rel=1e-13)
    assert R2()(Square(), s, fake).item() == pytest.approx(mean_square(fake) / 2, rel=1e-13)
    between = GradientPenalty().points(s, fake)
    assert GradientPenalty(1.0, 0.0)(Square(), s, fake).item() == pytest.approx(mean_square(between), rel=1e-13)


def test_interpolation_uses_one_mixing_factor_per_sample() -> None:
    s = sample((2, 3, 3), n=500)
    fake = torch.ones_like(s.real) * 5
    mixing = ((GradientPenalty().points(s, fake) - fake) / (s.real - fake)).flatten(1)
    assert (mixing - mixing[:, :1]).abs().max() < 1e-9, "one factor for all pixels of a sample"
    assert 0.45 < float(mixing[:, 0].mean()) < 0.55
    assert float(mixing.min()) >= -1e-12
    assert float(mixing.max()) < 1


def test_a_one_sided_penalty_leaves_mild_samples_alone() -> None:
    """s(x) = ||x||^2 / 2 has slope ||x||: of norms (0.5, 1, 3), only the last pays, (3 - 1)^2 / 3."""
    real = torch.zeros(3, 4, dtype=torch.float64)
    real[:, 0] = torch.tensor([0.5, 1.0, 3.0])
    s = GanSample(real, torch.zeros(3, 2), torch.arange(3))
    assert GradientPenalty(1.0, sides="one")(Square(), s, real).item() == pytest.approx(4 / 3, rel=1e-12)
    assert GradientPenalty(1.0, sides="two")(Square(), s, real).item() == pytest.approx(4.25 / 3, rel=1e-12)


@pytest.mark.parametrize(("noise", "low", "high"), [("original", 0.0, 0.5), ("compare-gan", -0.5, 0.5)])
def test_dragan_noise_stays_in_its_range(noise, low, high) -> None:
    s = sample((1, 8, 8), n=200)
    shift = (Dragan(noise=noise, std=0.5).points(s, s.real) - s.real) / 0.5
    assert low <= shift.min() < low + 0.02
    assert high - 0.02 < shift.max() <= high
    if noise == "compare-gan":
        edge = GanSample(torch.ones_like(s.real), s.latent, s.seed)
        assert Dragan(noise=noise, std=0.5).points(edge, s.real).max() == 1.0


def test_dragan_scales() -> None:
    s = sample((1, 8, 8), n=200)
    shift = lambda **options: Dragan(**options).points(s, s.real) - s.real  # noqa: E731
    for noise in ("original", "gaussian"):
        ratio = shift(noise=noise) / shift(noise=noise, std=2.0)
        assert torch.allclose(ratio, (s.real.std() / 2).expand_as(ratio), rtol=1e-9)
    assert float(shift(noise="gaussian", std=2.0).std()) == pytest.approx(1.0, abs=0.02)


ALL = [
    GradientPenalty(),
    GradientPenalty(sides="one", target=0.1),
    GradientPenalty(target=0.0),
    Dragan(std=0.3),
    R1(),
    R2(),
    Lazy(GradientPenalty(), 2),
]


@pytest.mark.parametrize("penalty", ALL, ids=repr)
def test_gradients_equal_finite_differences(penalty) -> None:
    critic = MlpCritic(hidden=(8,)).double()
    s, fake = sample((2,), n=4), torch.randn(4, 2, dtype=torch.float64)
    weight = next(critic.parameters())
    gradient = torch.autograd.grad(penalty(critic, s, fake), weight)[0]
    h = 1e-6
    with torch.no_grad():
        for i, j in ((0, 0), (3, 1), (7, 0)):
            weight[i, j] += h
            up = penalty(critic, s, fake)
            weight[i, j] -= 2 * h
            down = penalty(critic, s, fake)
            weight[i, j] += h
            assert float(gradient[i, j]) == pytest.approx(float((up - down) / (2 * h)), rel=1e-6, abs=1e-8)


def test_a_side_without_effect_is_refused() -> None:
    with pytest.raises(InvalidValue, match="sides is 'one' with target 0: no norm lies below 0"):
        GradientPenalty(target=0, sides="one")
    with pytest.raises(InvalidValue, match="unknown value of GradientPenalty.sides: 'both'"):
        GradientPenalty(sides="both")
