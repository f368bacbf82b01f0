"""The divergence of every objective, by quadrature on the line: its losses at its optimal critic give it."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor

from manypaths.objectives import OBJECTIVES
from manypaths.objectives.base import Objective
from manypaths.objectives.divergences import jensen_shannon, kullback_leibler, total_variation, wasserstein
from manypaths.objectives.hinge import Hinge
from manypaths.objectives.least_squares import LeastSquares
from manypaths.objectives.minimax import Minimax
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.objectives.relativistic import RelativisticPaired
from manypaths.objectives.wasserstein import Wasserstein

X = torch.linspace(-12, 12, 160_001, dtype=torch.float64)
H, MEAN = 24 / 160_000, 1.0
"""The trapezoid rule: exact to rounding for smooth densities that vanish at the ends, O(H^2) = 2e-8 at kinks."""


def normal(x: Tensor, mean: float | Tensor, deviation: float) -> Tensor:
    return torch.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))


def data(x: Tensor) -> Tensor:
    return 0.3 * normal(x, -1.5, 0.6) + 0.7 * normal(x, 1.0, 1.0)


def fakes(x: Tensor, mean: float | Tensor = MEAN) -> Tensor:
    return normal(x, mean, 1.2)


P, Q = data(X) * H, fakes(X) * H


def integral(integrand) -> float:
    """Gauss-Legendre on panels that are cut where the densities cross."""
    inner = X[1:][(P - Q)[1:].sign() != (P - Q)[:-1].sign()]
    gap = lambda x: float(data(X.new_tensor(x)) - fakes(X.new_tensor(x)))  # noqa: E731
    crossings = [brentq(gap, x - H, x) for x in inner.tolist()]
    cuts = sorted([*range(-12, 13), *crossings])
    nodes, weights = (torch.from_numpy(t) for t in numpy.polynomial.legendre.leggauss(40))
    total = 0.0
    for a, b in pairwise(cuts):
        x = (a + b) / 2 + (b - a) / 2 * nodes
        total += float((weights * integrand(data(x), fakes(x))).sum() * (b - a) / 2)
    return total


def kl_term(p: Tensor, q: Tensor) -> Tensor:
    return p * (p / q).log()


INTEGRANDS = {  # the textbooks' integrands
    "minimax": (Minimax(), lambda p, q: kl_term(p, (p + q) / 2) + kl_term(q, (p + q) / 2)),
    "non-saturating": (
        NonSaturating(),
        lambda p, q: kl_term(q, p) - kl_term(p, (p + q) / 2) - kl_term(q, (p + q) / 2),
    ),
    "hinge": (Hinge(), lambda p, q: (p - q).abs()),
    "least-squares": (LeastSquares(), lambda p, q: (p - q) ** 2 / (p + q) / 8),
    "least-squares, chi^2": (LeastSquares(-1, 1, 0), lambda p, q: (2 * q - (p + q)) ** 2 / (p + q) / 2),
}
AT_EQUALITY = {  # the critic's loss at p = q, of which D is the part that is missing at the optimal critic
    "minimax": 2 * math.log(2),
    "wasserstein": 0.0,
    "hinge": 2.0,
    "least-squares": 0.25,
}


def expected_critic_loss(objective: Objective, s: Tensor) -> Tensor:
    """sum_i p_i L(s_i, 0) + sum_i q_i L(0, s_i) - L(0, 0), from a loss whose two sides are separate sums."""
    zero = torch.zeros(1, dtype=torch.float64)
    on_real = torch.vmap(lambda r: objective.critic(r[None], zero))(s)
    on_fake = torch.vmap(lambda f: objective.critic(zero, f[None]))(s)
    return (P * on_real).sum() + (Q * on_fake).sum() - objective.critic(zero, zero)


def expected_generator_loss(objective: Objective, s: Tensor, q: Tensor) -> Tensor:
    return (q * torch.vmap(lambda f: objective.generator(f[None]))(s)).sum()


@pytest.mark.parametrize("name", INTEGRANDS)
def test_divergences_equal_gaussian_quadrature(name) -> None:
    objective, integrand = INTEGRANDS[name]
    assert float(objective.divergence(P, Q)) == pytest.approx(integral(integrand), abs=1e-8)


def test_divergences_of_gaussians_in_closed_form() -> None:
    a, b = normal(X, 0.0, 1.0) * H, normal(X, 1.5, 0.8) * H
    shifted, wide = normal(X, 0.7, 1.0) * H, normal(X, 0.0, 1.3) * H
    kl = math.log(0.8) + (1 + 1.5**2) / (2 * 0.8**2) - 0.5
    assert float(kullback_leibler(a, b)) == pytest.approx(kl, rel=1e-12)
    assert float(total_variation(a, shifted)) == pytest.approx(math.erf(0.35 / math.sqrt(2)), abs=1e-8)
    assert float(wasserstein(a, shifted, X)) == pytest.approx(0.7, rel=1e-12)
    assert float(Wasserstein().divergence(a, wide, X)) == pytest.approx(0.3 * math.sqrt(2 / math.pi), abs=1e-8)


def test_divergences_where_a_mass_is_zero() -> None:
    p, q = (torch.tensor(masses, dtype=torch.float64) for masses in ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]))
    assert float(jensen_shannon(p, q)) == pytest.approx(math.log(2), rel=1e-15)
    assert float(kullback_leibler(p, q)) == math.inf
    assert float(kullback_leibler(p, (p + q) / 2)) == pytest.approx(math.log(2), rel=1e-15)
    assert float(Hinge().divergence(p, q)) == 2.0
    assert float(LeastSquares().divergence(p, q)) == 0.25
    assert float(NonSaturating().divergence(p, q)) == math.inf
    assert float(Wasserstein().divergence(p, q, torch.tensor([0.0, 1.0, 5.0]).double())) == 5.0


@pytest.mark.parametrize("name", AT_EQUALITY)
def test_the_optimal_critic_gives_the_divergence(name) -> None:
    objective = OBJECTIVES[name]()
    loss = expected_critic_loss(objective, objective.optimal_critic(P, Q, X))
    expected = AT_EQUALITY[name] - objective.divergence(P, Q, X)
    assert float(loss) == pytest.approx(float(expected), abs=1e-10)


def test_the_non_saturating_critic_is_that_of_minimax() -> None:
    assert torch.equal(NonSaturating().optimal_critic(P, Q), Minimax().optimal_critic(P, Q))
    by_parts = kullback_leibler(Q, P) - Minimax().divergence(P, Q)
    assert float(NonSaturating().divergence(P, Q)) == pytest.approx(float(by_parts), abs=1e-12)


@pytest.mark.parametrize("name", [*AT_EQUALITY, "non-saturating"])
def test_no_other_critic_is_better(name) -> None:
    """Moving towards another 1-Lipschitz critic raises the loss; where it is smooth, its slope in each score is 0."""
    objective = OBJECTIVES[name]()
    best = objective.optimal_critic(P, Q, X)
    loss = expected_critic_loss(objective, best)
    for frequency in (0.3, 1.0, 2.5):
        for phase in range(4):
            other = torch.sin(frequency * X + phase) / frequency
            assert expected_critic_loss(objective, best.lerp(other, 1e-2)) > loss
    if name not in ("wasserstein", "hinge"):
        s = best.clone().requires_grad_()
        assert torch.autograd.grad(expected_critic_loss(objective, s), s)[0].abs().max() < 1e-16


def slopes(name: str) -> tuple[float, float]:
    """d/dmean of the generator's loss against the optimal critic, held fixed, and of the divergence."""
    objective = OBJECTIVES[name]()
    mean = torch.tensor(MEAN, dtype=torch.float64, requires_grad=True)
    q = fakes(X, mean) * H
    s = objective.optimal_critic(P, q.detach(), X)
    both = expected_generator_loss(objective, s, q), objective.divergence(P, q, X)
    first, second = (float(torch.autograd.grad(value, mean, retain_graph=True)[0]) for value in both)
    return first, second


@pytest.mark.parametrize("name", ["minimax", "non-saturating", "wasserstein", "hinge"])
def test_the_generators_gradient_is_that_of_the_divergence(name) -> None:
    loss, divergence = slopes(name)
    assert abs(divergence) > 0.05
    assert loss == pytest.approx(divergence, abs=1e-10)


def test_the_least_squares_gradient_is_not() -> None:
    loss, divergence = slopes("least-squares")
    assert abs(loss - divergence) > 1e-3


@pytest.mark.parametrize("labels", [(0.0, 1.0, 1.0), (-1.0, 1.0, 0.0), (-1.0, 2.0, 0.5)])
def test_the_least_squares_value_is_the_divergence_and_a_constant(labels) -> None:
    """E_p (s - c)^2 / 2 + E_q (s - c)^2 / 2 at the optimal critic, less its value (a + b - 2c)^2 / 4 at p = q."""
    objective, (a, b, c) = LeastSquares(*labels), labels
    s = objective.optimal_critic(P, Q)
    value = ((P + Q) * (s - c) ** 2).sum() / 2
    assert float(value) - (a + b - 2 * c) ** 2 / 4 == pytest.approx(float(objective.divergence(P, Q)), abs=1e-12)


def test_the_paired_relativistic_optimality_condition() -> None:
    """dL/ds(x) = q(x) E_p sigma(s(x) - s) - p(x) E_q sigma(s - s(x)), on atoms, over all pairs."""
    counts = torch.tensor([[1, 2, 4, 1], [3, 1, 1, 3]])
    p, q = counts[0].double() / 8, counts[1].double() / 8
    s = torch.tensor([-0.3, 0.8, 1.7, -1.1], dtype=torch.float64, requires_grad=True)
    real, fake = (s.repeat_interleave(n) for n in counts)
    pairs = torch.cartesian_prod(real, fake)
    slope = torch.autograd.grad(RelativisticPaired().critic(pairs[:, 0], pairs[:, 1]), s)[0]
    gaps = torch.sigmoid(s.detach()[:, None] - s.detach())
    assert torch.allclose(slope, q * (gaps @ p) - p * (gaps.mT @ q), rtol=0, atol=1e-14)
