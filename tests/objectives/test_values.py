"""Losses against the textbooks' formulas and by hand at extreme scores; refusals."""

from __future__ import annotations

import math

import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.objectives import OBJECTIVES
from manypaths.objectives.least_squares import LeastSquares
from manypaths.objectives.wasserstein import Wasserstein

REAL, FAKE = (torch.randn(64, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) * 3 for i in (0, 1))
SIGMA = torch.sigmoid
ENTROPY = lambda r, f: -(SIGMA(r).log().mean() + (1 - SIGMA(f)).log().mean())  # noqa: E731
RA = lambda r, f: -(SIGMA(r - f.mean()).log().mean() + (1 - SIGMA(f - r.mean())).log().mean())  # noqa: E731
TEXTBOOK = {
    "minimax": (ENTROPY, lambda r, f: (1 - SIGMA(f)).log().mean()),
    "non-saturating": (ENTROPY, lambda r, f: -SIGMA(f).log().mean()),
    "non-saturating-probabilities": (ENTROPY, lambda r, f: -SIGMA(f).log().mean()),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "hinge": (
        lambda r, f: -torch.minimum(r - 1, r * 0).mean() - torch.minimum(-f - 1, f * 0).mean(),
        lambda r, f: -f.mean(),
    ),
    "least-squares": (
        lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        lambda r, f: ((f - 1) ** 2).mean() / 2,
    ),
    "relativistic-paired": (lambda r, f: -SIGMA(r - f).log().mean(), lambda r, f: -SIGMA(f - r).log().mean()),
    "relativistic-average": (RA, lambda r, f: RA(f, r)),
}
BIG = 1e4
EXTREME = {  # one datum and one fake at (+-1e4, +-1e4): (critic, generator)
    "minimax": {(1, 1): (BIG, -BIG), (-1, 1): (2 * BIG, -BIG), (1, -1): (0, 0), (-1, -1): (BIG, 0)},
    "non-saturating": {(1, 1): (BIG, 0), (-1, 1): (2 * BIG, 0), (1, -1): (0, BIG), (-1, -1): (BIG, BIG)},
    "non-saturating-probabilities": {(1, 1): (100, 0), (-1, 1): (200, 0), (1, -1): (0, 100), (-1, -1): (100, 100)},
    "wasserstein": {(1, 1): (0, -BIG), (-1, 1): (2 * BIG, -BIG), (1, -1): (-2 * BIG, BIG), (-1, -1): (0, BIG)},
    "hinge": {(1, 1): (BIG + 1, -BIG), (-1, 1): (2 * BIG + 2, -BIG), (1, -1): (0, BIG), (-1, -1): (BIG + 1, BIG)},
    "least-squares": {
        (1, 1): ((BIG - 1) ** 2 / 2 + BIG**2 / 2, (BIG - 1) ** 2 / 2),
        (-1, 1): ((BIG + 1) ** 2 / 2 + BIG**2 / 2, (BIG - 1) ** 2 / 2),
        (1, -1): ((BIG - 1) ** 2 / 2 + BIG**2 / 2, (BIG + 1) ** 2 / 2),
        (-1, -1): ((BIG + 1) ** 2 / 2 + BIG**2 / 2, (BIG + 1) ** 2 / 2),
    },
    "relativistic-paired": {(1, 1): (math.log(2),) * 2, (-1, 1): (2 * BIG, 0), (1, -1): (0, 2 * BIG)},
    "relativistic-average": {(1, 1): (2 * math.log(2),) * 2, (-1, 1): (4 * BIG, 0), (1, -1): (0, 4 * BIG)},
}


def test_every_objective_is_here() -> None:
    assert set(TEXTBOOK) == set(EXTREME) == set(OBJECTIVES)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_values_equal_the_textbook_formulas(name) -> None:
    objective, (critic, generator) = OBJECTIVES[name](), TEXTBOOK[name]
    assert float(objective.critic(REAL, FAKE)) == pytest.approx(float(critic(REAL, FAKE)), rel=1e-13)
    assert float(objective.generator(FAKE, REAL)) == pytest.approx(float(generator(REAL, FAKE)), rel=1e-13)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_values_at_extreme_scores(name, dtype) -> None:
    objective = OBJECTIVES[name]()
    for signs, (critic, generator) in EXTREME[name].items():
        real, fake = (torch.tensor([sign * BIG], dtype=dtype, requires_grad=True) for sign in signs)
        losses = objective.critic(real, fake), objective.generator(fake, real)
        rel = 1e-15 if dtype == torch.float64 else 1e-6
        assert [float(loss.detach()) for loss in losses] == pytest.approx([critic, generator], rel=rel)
        for loss in losses:
            for slope in torch.autograd.grad(loss, (real, fake), materialize_grads=True):
                assert torch.isfinite(slope).all()


def test_saturation_where_the_critic_is_sure() -> None:
    """At s = -20 minimax gives the generator a slope of -sigma(-20), non-saturating -sigma(20)."""
    for name, expected in (("minimax", -1 / (1 + math.exp(20))), ("non-saturating", -1 / (1 + math.exp(-20)))):
        score = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
        slope = torch.autograd.grad(OBJECTIVES[name]().generator(score), score)[0]
        assert float(slope) == pytest.approx(expected, rel=1e-14)


def test_least_squares_with_the_other_labels() -> None:
    objective = LeastSquares(fake_label=-1, real_label=1, generator_label=0)
    assert float(objective.critic(REAL, FAKE)) == pytest.approx(float((((REAL - 1) ** 2 + (FAKE + 1) ** 2) / 2).mean()))
    assert float(objective.generator(FAKE)) == pytest.approx(float((FAKE**2 / 2).mean()))
    with pytest.raises(InvalidValue, match="fake_label and real_label are both 1.0: expected two different numbers"):
        LeastSquares(fake_label=1)


@pytest.mark.parametrize("name", ["relativistic-paired", "relativistic-average"])
def test_relativistic_refusals(name) -> None:
    objective, p = OBJECTIVES[name](), torch.ones(2, dtype=torch.float64) / 2
    kind = type(objective).__name__
    with pytest.raises(InvalidValue, match=f"{kind} compares fakes with data: expected the real scores, got none"):
        objective.generator(FAKE)
    for method in (objective.optimal_critic, objective.divergence):
        with pytest.raises(InvalidType, match=f"{kind} states no divergence: its optimal critic has no closed form"):
            method(p, p)


def test_wasserstein_needs_places() -> None:
    p = torch.ones(3, dtype=torch.float64) / 3
    for method in (Wasserstein().optimal_critic, Wasserstein().divergence):
        with pytest.raises(InvalidValue, match="Wasserstein needs the places of the atoms"):
            method(p, p)
        with pytest.raises(InvalidValue, match=r"points of shape \(3,\) for \(3,\) masses: .* ascending order"):
            method(p, p, torch.tensor([0.0, 2.0, 1.0]))


def test_cross_entropy_on_probabilities_is_silent_where_the_sigmoid_rounds_to_zero_or_one() -> None:
    scores = torch.tensor([20.0, -120.0, 2.0], requires_grad=True)  # sigma is 1, 0 and neither in float32
    loss = OBJECTIVES["non-saturating-probabilities"]()
    (gradient,) = torch.autograd.grad(loss.critic(scores[2:], scores) + loss.generator(scores), scores)
    assert gradient[:2].tolist() == [0.0, 0.0]
    expected = SIGMA(scores[2].detach()) * (1 + 2 / 3) - 4 / 3  # real: sigma - 1; of three fakes: sigma and sigma - 1
    assert float(gradient[2]) == pytest.approx(float(expected), rel=1e-6)
