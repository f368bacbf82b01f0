"""The solution of robust least squares is a saddle point."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidValue
from manypaths.games.analytic.robust_least_squares import RobustLeastSquares


def test_robust_least_squares_is_a_saddle() -> None:
    game = RobustLeastSquares.synthetic(12, 3, robustness=1.5)
    solution = game.solution()
    fit = torch.linalg.lstsq(game.features, game.labels[:, None]).solution[:, 0]
    assert (solution[:3] - fit).abs().max() < 1e-12
    loss = lambda w: float(game.values(w)[0] - game.robustness / 2 * w[3:].square().mean())  # noqa: E731
    for i in range(15):
        moved = solution.clone()
        moved[i] += 0.1
        assert (loss(moved) > loss(solution)) == (i < 3), "x minimises and y maximises"


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"features and labels have shapes \(3, 2\) and \(2,\)"):
        RobustLeastSquares(torch.ones(3, 2), torch.ones(2))
    with pytest.raises(InvalidValue, match="robustness is 1.0: expected a number > 1"):
        RobustLeastSquares(torch.ones(3, 2), torch.ones(3), robustness=1.0)
