"""Every rule's affine map on a quadratic game with curvature and interaction equals its formula."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.oracles.full_batch import FullBatch
from manypaths.rules.alternating import Alternating
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import IndexSource
from manypaths.testing import closed_forms as forms
from manypaths.training import Training

LR = 0.1
M = forms.curved_rotation()
RULES = {
    "simultaneous": (Simultaneous, partial(forms.simultaneous, lr=LR)),
    "extragradient": (Extragradient, partial(forms.extragradient, lr=LR)),
    "same sample": (lambda: Extragradient(fresh_sample=False), partial(forms.extragradient, lr=LR)),
    "opponent": (lambda: Extragradient(at="opponent"), partial(forms.opponent_extragradient, lr=LR)),
    "two step sizes": (
        lambda: Extragradient(extrapolation=3.0),
        partial(forms.extragradient, lr=LR, extrapolation=3.0),
    ),
    "rewound": (lambda: Extragradient(moments="rewind"), partial(forms.extragradient, lr=LR)),
    "separate": (lambda: Extragradient(moments="separate"), partial(forms.extragradient, lr=LR)),
}


@pytest.mark.parametrize("name", RULES)
def test_alone(name) -> None:
    make, formula = RULES[name]
    assert (forms.affine_map(make, M, lr=LR) - formula(M)).abs().max() < 1e-13


@pytest.mark.parametrize("order", [("x", "y"), ("y", "x"), ("x", "x", "y")])
@pytest.mark.parametrize("name", RULES)
def test_inside_alternating(name, order) -> None:
    make, formula = RULES[name]
    got = forms.affine_map(lambda: Alternating(order, make()), M, lr=LR)
    assert (got - forms.alternating(M, order, formula)).abs().max() < 1e-13


def test_joint_and_opponent_agree_on_bilinear_games_only() -> None:
    rotation = Bilinear(torch.ones(1, 1, dtype=torch.float64)).jacobian()
    joint, opponent = (partial(Extragradient, at=at) for at in ("joint", "opponent"))
    distance = lambda m: (forms.affine_map(joint, m, lr=LR) - forms.affine_map(opponent, m, lr=LR)).abs().max()  # noqa: E731
    assert distance(rotation) < 1e-15
    assert distance(M) > 1e-4


def test_rates_on_the_bilinear_game() -> None:
    rotation = Bilinear(torch.ones(1, 1, dtype=torch.float64)).jacobian()
    radius = lambda m: float(torch.linalg.eigvals(m).abs().max())  # noqa: E731
    rates = {
        Simultaneous: (1 + LR**2) ** 0.5,
        Extragradient: ((1 - LR**2) ** 2 + LR**2) ** 0.5,
        lambda: Alternating(("x", "y")): 1.0,
    }
    for make, rate in rates.items():
        assert abs(radius(forms.affine_map(make, rotation, lr=LR)) - rate) < 1e-12


def _extra_adam(m: torch.Tensor, w: torch.Tensor, steps: int, *, shared: bool, lr: float) -> torch.Tensor:
    """The recursion of Gidel et al. 2019, written out; ``shared``: both half-steps advance the moments."""
    b1, b2, eps = 0.5, 0.9, 1e-8

    def direction(gradient, mean, square, t):
        mean, square = b1 * mean + (1 - b1) * gradient, b2 * square + (1 - b2) * gradient**2
        return (mean / (1 - b1**t)) / ((square / (1 - b2**t)).sqrt() + eps), mean, square

    mean, square, t = torch.zeros_like(w), torch.zeros_like(w), 0
    for _ in range(steps):
        first, half_mean, half_square = direction(m @ w, mean, square, t + 1)
        half = w - lr * first
        if shared:
            mean, square, t = half_mean, half_square, t + 1
        t += 1
        second, mean, square = direction(m @ half, mean, square, t)
        w = w - lr * second
    return w


@pytest.mark.parametrize("moments", ["shared", "rewind"])
def test_stock_adam_inside_extragradient_is_extra_adam(moments) -> None:
    start = torch.randn(6, dtype=torch.float64)
    game = Quadratic(M, start=start)
    optimizers = {n: torch.optim.Adam(game.parameters(n), lr=0.02, betas=(0.5, 0.9)) for n in game.players}
    training = Training(game, FullBatch(IndexSource(1), batch=1), Extragradient(moments=moments), optimizers)
    for _ in range(100):
        training.step()
    expected = _extra_adam(M, start, 100, shared=moments == "shared", lr=0.02)
    assert (game.joint() - expected).abs().max() < 1e-12


def test_the_three_kinds_of_moments_end_in_different_places() -> None:
    ends = {}
    for moments in ("shared", "rewind", "separate"):
        game = Quadratic(M)
        optimizers = {n: torch.optim.Adam(game.parameters(n), lr=0.02, betas=(0.5, 0.9)) for n in game.players}
        training = Training(game, FullBatch(IndexSource(1), batch=1), Extragradient(moments=moments), optimizers)
        for _ in range(50):
            training.step()
        ends[moments] = game.joint()
    for a, b in (("shared", "rewind"), ("rewind", "separate"), ("shared", "separate")):
        assert (ends[a] - ends[b]).norm() > 1e-6


def test_with_curvature_a_and_rotation_b_each_form_has_its_own_factor() -> None:
    """F(x, y) = (a x + b y, a y - b x) multiplies x + iy by a - ib; so does a step by the factors of the docs' page."""
    for a, b in ((0.3, 0.0), (0.2, 0.7), (1.4, 0.3), (0.9, 0.9)):
        matrix, mu = torch.tensor([[a, b], [-b, a]], dtype=torch.float64), complex(a, -b)
        joint, opponent = 1 - mu + mu**2, complex(1 - a - b**2, b * (1 - a))
        for at, factor in (("joint", joint), ("opponent", opponent)):
            got = forms.affine_map(partial(Extragradient, at=at), matrix, lr=1.0)
            want = torch.tensor([[factor.real, -factor.imag], [factor.imag, factor.real]], dtype=torch.float64)
            assert (got - want).abs().max() < 1e-13


def test_on_a_players_own_curvature_the_joint_form_bends_back_and_the_opponents_does_not() -> None:
    """1 - eta c + (eta c)^2 against 1 - eta c: at eta c = 1 the one stands still and the other is at the solution."""
    curvatures = torch.tensor([0.1, 0.5, 1.0, 1.5, 1.9, 3.0], dtype=torch.float64)
    for at, factor in (("joint", 1 - curvatures + curvatures**2), ("opponent", 1 - curvatures)):
        game = Quadratic(torch.diag(curvatures))
        optimizers = {name: torch.optim.SGD(game.parameters(name), lr=1.0) for name in game.players}
        Training(game, FullBatch(IndexSource(1), batch=1), Extragradient(at=at), optimizers).step()
        assert (game.joint() - factor).abs().max() < 1e-15
