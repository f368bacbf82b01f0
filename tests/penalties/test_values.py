"""Penalties by hand: exactly zero on a 1-Lipschitz linear critic, exact on a linear critic of any slope."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manypaths.games.gan_sample import GanSample
from manypaths.penalties.dragan import Dragan
from manypaths.penalties.interpolated import Interpolated
from manypaths.penalties.r1 import R1

SHAPES = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 64, 64)]


class Linear(nn.Module):
    """s(x) = slope <u, x> with ||u|| = 1."""

    def __init__(self, shape, slope=1.0):
        super().__init__()
        u = torch.randn(shape, dtype=torch.float64)
        self.weight = nn.Parameter(slope * u / u.norm())

    def forward(self, x):
        return (x * self.weight).flatten(1).sum(1)


def sample(shape, n=6) -> GanSample:
    real = torch.rand(n, *shape, dtype=torch.float64) * 2 - 1
    return GanSample(real, torch.randn(n, 2, dtype=torch.float64), torch.arange(n))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("penalty", [Interpolated(), Dragan(), Dragan(noise="compare-gan"), Dragan(noise="gaussian")])
def test_zero_on_a_one_lipschitz_linear_critic(shape, penalty) -> None:
    s = sample(shape)
    assert penalty(Linear(shape), s, torch.zeros_like(s.real)).item() < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_values_on_a_linear_critic_of_slope_three(shape) -> None:
    s, critic = sample(shape), Linear(shape, 3.0)
    fake = torch.zeros_like(s.real)
    assert Interpolated(10.0)(critic, s, fake).item() == pytest.approx(10 * (3 - 1) ** 2, rel=1e-12)
    assert Dragan(10.0)(critic, s, fake).item() == pytest.approx(10 * (3 - 1) ** 2, rel=1e-12)
    assert R1(2.0)(critic, s, fake).item() == pytest.approx(3.0**2, rel=1e-12)


def test_interpolation_uses_one_mixing_factor_per_sample() -> None:
    seen = []

    class Square(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.flatten(1).square().sum(1) / 2  # gradient x: the penalty reads the point itself

    s = sample((2, 3, 3), n=500)
    fake = torch.ones_like(s.real) * 5
    value = Interpolated(1.0)(Square(), s, fake).item()
    eps = ((fake - s.real) / (fake - s.real)).flatten(1)[:, :1]
    assert eps.shape == (500, 1)
    point = seen[0].detach()
    mixing = ((point - fake) / (s.real - fake)).flatten(1)
    assert (mixing - mixing[:, :1]).abs().max() < 1e-9, "one factor for all pixels of a sample"
    assert 0.45 < float(mixing[:, 0].mean()) < 0.55
    assert value == pytest.approx(float((point.flatten(1).norm(dim=1) - 1).square().mean()), rel=1e-12)


@pytest.mark.parametrize(("noise", "low", "high"), [("original", 0.0, 0.5), ("compare-gan", -0.5, 0.5)])
def test_dragan_noise_stays_in_its_range(noise, low, high) -> None:
    s = sample((1, 8, 8), n=200)
    shift = (Dragan(noise=noise, std=0.5).around(s) - s.real) / 0.5
    assert low <= shift.min() < low + 0.02
    assert high - 0.02 < shift.max() <= high
    if noise == "compare-gan":
        edge = GanSample(torch.ones_like(s.real), s.latent, s.seed)
        assert Dragan(noise=noise, std=0.5).around(edge).max() == 1.0


def test_gradients_flow_to_the_critic_and_equal_finite_differences() -> None:
    from manypaths.models.mlp import MlpCritic

    critic = MlpCritic(hidden=(8,)).double()
    s = sample((2,), n=4)
    fake = torch.randn(4, 2, dtype=torch.float64)
    for penalty in (Interpolated(), Dragan(std=0.3), R1()):
        weight = critic.layers[0].weight
        gradient = torch.autograd.grad(penalty(critic, s, fake), weight)[0]
        h = 1e-6
        with torch.no_grad():
            weight[0, 0] += h
            up = penalty(critic, s, fake).detach()
            weight[0, 0] -= 2 * h
            down = penalty(critic, s, fake).detach()
            weight[0, 0] += h
        assert float(gradient[0, 0]) == pytest.approx(float((up - down) / (2 * h)), rel=1e-6, abs=1e-8)
