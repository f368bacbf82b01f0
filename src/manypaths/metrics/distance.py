"""How far the players are from a known solution."""

from __future__ import annotations

import torch
from torch import Tensor

from manypaths.games.analytic.base import AnalyticGame


def distance_to_solution(game: AnalyticGame, w: Tensor | None = None) -> Tensor:
    """||w_k - w*_k||_2 of every player k, (..., players), in units of the weights.

    ``w`` is (..., D), by default the current iterate. The sum over the players is the distance of SVRE's Figure 4,
    their root sum of squares the Euclidean one. Where a game has several solutions, w* is the one that
    ``game.solution()`` returns. Raises where the game knows none.
    """
    gaps = (game.joint() if w is None else w) - game.solution()
    return torch.stack([torch.linalg.vector_norm(part, dim=-1) for part in game.split(gaps).values()], -1)
