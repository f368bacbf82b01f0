"""Monotone sums have the constants they were asked for, and constants are what they say."""

from __future__ import annotations

import math

import pytest
import torch

from manypaths.errors import InvalidValue
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.analytic.constants import cocoercivity, linear_constants
from manypaths.games.analytic.coordinatewise import Coordinatewise
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.games.analytic.robust_least_squares import RobustLeastSquares


@pytest.mark.parametrize(
    ("family", "cocoercivity", "expected"),
    [
        ("potential", None, 223.0),
        ("mixed", 223.0, 223.0),
        ("mixed", 5000.0, 5000.0),
        ("mixed", None, 223.0**1.5),
        ("rotation", None, 223.0**2),
    ],
)
def test_a_monotone_sum_has_the_chosen_constants(family, cocoercivity, expected) -> None:
    game = Quadratic.monotone(20, 6, family=family, mu=0.5, L=0.5 * 223, cocoercivity=_half(cocoercivity), noise=3.0)
    found = game.constants()
    assert found.mu == pytest.approx(0.5, rel=1e-11)
    assert found.mean_lipschitz == pytest.approx(0.5 * 223, rel=1e-12)
    assert found.mean_cocoercivity == pytest.approx(0.5 * expected, rel=1e-11)
    assert 0.5 * found.mean_lipschitz < found.lipschitz < found.mean_lipschitz
    solution = game.solution()
    assert float((game.start - solution).norm()) == pytest.approx(1.0, rel=1e-11)
    noise = game.field(solution.expand(20, -1), torch.arange(20)[:, None])
    assert float(noise.square().sum(1).mean()) == pytest.approx(9.0, rel=1e-11)
    symmetric = (game.matrices + game.matrices.mT) / 2
    assert torch.linalg.eigvalsh(symmetric).min() > 0.5 * (1 - 1e-11), (
        "a component function is less monotone than the mean"
    )


def _half(value):
    return None if value is None else 0.5 * value


def test_a_potential_sum_is_a_potential_game_and_a_rotation_is_zero_sum() -> None:
    d = 4
    potential = Quadratic.monotone(3, d, family="potential").matrices
    assert (potential - potential.mT).abs().max() < 1e-12
    assert potential[:, :d, d:].abs().max() > 1, "the players of the potential game do not interact"
    rotation = Quadratic.monotone(3, d, family="rotation").matrices
    assert (rotation[:, :d, d:] + rotation[:, d:, :d].mT).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mu": 2.0, "L": 1.0}, "mu is 2 and L is 1: expected mu < L"),
        ({"cocoercivity": 99.0}, r"cocoercivity is 99: expected L <= l <= L\^2 / mu, \[100, 10000\]"),
        ({"family": "rotation", "cocoercivity": 200.0}, "cocoercivity is 200: expected none"),
        ({"family": "rotations"}, "did you mean 'rotation'"),
        ({"d": 2}, "d is 2: expected at least 3"),
        ({"noise": -1.0}, "noise is -1.0: expected a number >= 0"),
    ],
)
def test_impossible_sums_are_refused(settings, message) -> None:
    with pytest.raises(InvalidValue, match=message):
        Quadratic.monotone(5, **{"d": 4, **settings})


def test_cocoercivity_by_hand() -> None:
    h, s = 0.5, 2.0
    spiral = torch.tensor([[h, s], [-s, h]], dtype=torch.float64)
    diagonal = torch.diag(torch.tensor([3.0, 0.0], dtype=torch.float64))
    turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    half_turn = torch.tensor([[1.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    found = cocoercivity(torch.stack([spiral, diagonal, turn, half_turn, -diagonal]))
    assert found[:2].tolist() == pytest.approx([(h**2 + s**2) / h, 3.0], rel=1e-14)
    assert found[2:].tolist() == [math.inf] * 3
    draw = torch.randn(4, 4, dtype=torch.float64)
    matrix = draw @ draw.T + torch.eye(4) + (draw - draw.T)
    inverse = torch.linalg.inv(matrix)
    by_inverse = 2 / torch.linalg.eigvalsh(inverse + inverse.T)[0]
    assert float(cocoercivity(matrix)) == pytest.approx(float(by_inverse), rel=1e-11)


@pytest.mark.parametrize("rotation", [0.0, 0.4, 1.0])
def test_constants_of_the_structured_games_equal_the_dense_ones(rotation) -> None:
    games = [
        Coordinatewise(5, rotation=rotation),
        RobustLeastSquares.synthetic(6, 4, robustness=1 + rotation + 0.1),
        Bilinear.with_spectrum(4, [1.0, rotation]),
    ]
    for game in games:
        components = torch.stack([game.jacobian(None, torch.tensor([i])) for i in range(game.size)])
        dense, found = linear_constants(components), game.constants()
        for name in ("mu", "lipschitz", "mean_lipschitz", "mean_cocoercivity"):
            assert getattr(found, name) == pytest.approx(getattr(dense, name), rel=1e-10, abs=1e-15), name
