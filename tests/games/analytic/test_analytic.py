"""Every closed form of every analytic game against autograd, and proof that planted faults are caught."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidType
from manypaths.games.analytic.base import AnalyticGame
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.analytic.coordinatewise import Coordinatewise
from manypaths.games.analytic.dirac import DiracGan
from manypaths.games.analytic.gaussian_gan import GaussianGan
from manypaths.games.analytic.matrix_game import MatrixGame
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.games.analytic.robust_least_squares import RobustLeastSquares
from manypaths.sources.base import Index
from manypaths.testing.analytic import check_analytic

GAMES = {
    "bilinear": lambda: Bilinear.with_spectrum(5, [1.0, 0.5, 0.1]),
    "coordinatewise": lambda: Coordinatewise(6),
    "coordinatewise without noise": lambda: Coordinatewise(6, noise=False),
    "minimisation shadow copy": lambda: Coordinatewise(6, rotation=0.0),
    "in between": lambda: Coordinatewise(6, rotation=0.3),
    "potential": lambda: Quadratic.monotone(7, 4, family="potential", L=30.0),
    "mixed": lambda: Quadratic.monotone(7, 5, L=30.0),
    "rotation": lambda: Quadratic.monotone(7, 4, family="rotation", L=30.0),
    "dirac minimax": lambda: DiracGan("minimax"),
    "dirac non-saturating with R1": lambda: DiracGan("non-saturating", r1=0.3),
    "dirac wasserstein": lambda: DiracGan("wasserstein", r1=0.3),
    "gaussian": lambda: GaussianGan(mean=2.0, deviation=0.5, regulariser=0.1),
    "rock-paper-scissors": lambda: MatrixGame.rock_paper_scissors(3, n=4, noise=0.5),
    "three players, five actions": lambda: MatrixGame.rock_paper_scissors(5, players=3, win=1.5),
    "robust least squares": lambda: RobustLeastSquares.synthetic(8, 3),
}


@pytest.mark.parametrize("name", GAMES)
def test_closed_forms(name) -> None:
    check_analytic(GAMES[name]())


class _Wrong(DiracGan):
    """One planted fault."""

    fault = ""

    def field(self, w, index=None):
        return super().field(w, index) * (1 + 1e-9 * (self.fault == "field"))

    def values(self, w, index=None):
        return super().values(w, index) + (w[..., :1] ** 2 if self.fault == "values" else 0.0)

    def jacobian(self, w=None, index=None):
        found = super().jacobian(w, index)
        return found.mT if self.fault == "jacobian" else found

    def solution(self):
        return super().solution() + (0.1 if self.fault == "solution" else 0.0)


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("field", "is not the derivative of field"),
        ("values", "field of critic is not autograd's"),
        ("jacobian", "jacobian is not the derivative of field"),
        ("solution", "the field at the solution is"),
    ],
)
def test_faulty_closed_forms_are_caught(fault, complaint) -> None:
    game = _Wrong(r1=0.1)
    check_analytic(game)
    game.fault = fault
    with pytest.raises(AssertionError, match=complaint):
        check_analytic(game)


def test_a_frozen_player_has_no_gradient_and_keeps_its_place() -> None:
    game = DiracGan()
    game.players["critic"].requires_grad_(False)
    gradients = game.gradients(Index(torch.zeros(1, dtype=torch.int64)))
    assert gradients["critic"] == []
    assert torch.equal(gradients["generator"][0], game.field(game.joint())[1:])


def test_the_start_is_kept_and_the_iterate_copied() -> None:
    game = DiracGan(start=(2.0, 3.0))
    game.joint().zero_()
    game.start.zero_()
    game.move_to({"critic": [torch.tensor([5.0])], "generator": [torch.tensor([6.0])]})
    assert game.joint().tolist() == [5.0, 6.0]
    assert game.start.tolist() == [2.0, 3.0]
    assert {name: part.tolist() for name, part in game.split(game.start).items()} == {
        "critic": [2.0],
        "generator": [3.0],
    }


def test_what_is_not_known_is_said() -> None:
    with pytest.raises(InvalidType, match="DiracGan has no monotonicity constants"):
        DiracGan().constants()

    class Bare(DiracGan):
        solution = AnalyticGame.solution

    with pytest.raises(InvalidType, match="Bare has no solution in closed form"):
        Bare().solution()
