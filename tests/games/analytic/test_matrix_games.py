"""Matrix games by hand, their equilibria and what is refused."""

from __future__ import annotations

import math
import sys

import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.analytic.matrix_game import MatrixGame


def test_matrix_game_by_hand() -> None:
    pennies = torch.tensor([[0.0, 0, 1, -1], [0, 0, -1, 1], [-1, 1, 0, 0], [1, -1, 0, 0]], dtype=torch.float64)
    game = MatrixGame(pennies, (2, 2), start=torch.tensor([math.log(3), 0, 0, 0], dtype=torch.float64))
    assert game.strategies().tolist() == pytest.approx([0.75, 0.25, 0.5, 0.5])
    assert game.values(game.joint()).tolist() == pytest.approx([0.0, 0.0])
    assert float(game.exploitability()) == pytest.approx(0.5)
    assert game.solution().tolist() == [0.0] * 4
    assert float(game.exploitability(game.solution())) == 0.0
    assert game.exploitability(game.start.expand(7, 2, 4)).shape == (7, 2)


def test_equilibria_of_matrix_games() -> None:
    for players, win in ((2, 1.0), (4, 3.0)):
        game = MatrixGame.rock_paper_scissors(5, players=players, win=win)
        assert game.solution().abs().max() == 0
        assert game.field(game.solution()).abs().max() < 1e-15
    cost = torch.tensor([[1.0, -2.0], [-1.0, 3.0], [5.0, 5.0]], dtype=torch.float64)  # the last row is never played
    joint = torch.zeros(5, 5, dtype=torch.float64)
    joint[:3, 3:], joint[3:, :3] = cost, -cost.T
    game = MatrixGame(joint, (3, 2))
    assert game.equilibrium().tolist() == pytest.approx([4 / 7, 3 / 7, 0, 5 / 7, 2 / 7], abs=1e-12)
    with pytest.raises(InvalidType, match="leaves a strategy unplayed"):
        game.solution()
    mixed = MatrixGame(joint[[0, 1, 3, 4]][:, [0, 1, 3, 4]], (2, 2))
    assert mixed.strategies(mixed.solution()).tolist() == pytest.approx([4 / 7, 3 / 7, 5 / 7, 2 / 7], abs=1e-12)
    assert float(mixed.exploitability(mixed.solution())) < 1e-12


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: MatrixGame(torch.zeros(3, 3), (2, 2)),
            r"costs have shape \(1, 3, 3\): expected \(n, D, D\) with D = 4",
        ),
        (lambda: MatrixGame(torch.ones(4, 4), (2, 2)), "own block of costs is not zero"),
        (lambda: MatrixGame.rock_paper_scissors(4), "2 players with 4 actions: expected at least 2, and an odd number"),
    ],
)
def test_impossible_games_are_refused(make, message) -> None:
    with pytest.raises(InvalidValue, match=message):
        make()


def test_scipy_is_asked_for_by_name(monkeypatch) -> None:
    uneven = torch.tensor([[0.0, 0, 3, -1], [0, 0, -1, 1], [-3, 1, 0, 0], [1, -1, 0, 0]])
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(InvalidType, match="the equilibrium of a matrix game needs scipy, which is not installed"):
        MatrixGame(uneven, (2, 2)).equilibrium()
