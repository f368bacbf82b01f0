"""The matrices that rules apply on quadratic games, from formulas and read off the code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from manypaths.games.quadratic import Quadratic
from manypaths.games.source import IndexSource
from manypaths.optim.base import Bases
from manypaths.oracles.full import Full
from manypaths.rules.base import Rule
from manypaths.training import Training


def curved_rotation(d: int = 3, seed: int = 0) -> Tensor:
    """A (2d, 2d) float64 Jacobian with both curvature (positive definite blocks) and interaction, of norm 1.

    Both are needed: on a bilinear game several different rules coincide.
    """
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(d, d, generator=generator, dtype=torch.float64)  # noqa: E731
    r, s, a = draw(), draw(), draw()
    matrix = torch.cat([torch.cat([r @ r.T, a], 1), torch.cat([-a.T, s @ s.T], 1)], 0)
    return matrix / torch.linalg.matrix_norm(matrix, 2)


def affine_map(rule: Callable[[], Rule], matrix: Tensor, *, lr: float, steps: int = 1) -> Tensor:
    """The matrix that ``steps`` steps of a rule with SGD apply to the joint iterate, read off column by column."""
    columns = []
    for unit in torch.eye(len(matrix), dtype=matrix.dtype):
        game = Quadratic(matrix, start=unit)
        bases = Bases({name: torch.optim.SGD(game.parameters(name), lr=lr) for name in game.players})
        training = Training(game, Full(IndexSource(1), batch=1), rule(), bases)
        for _ in range(steps):
            training.step()
        columns.append(game.joint())
    return torch.stack(columns, dim=1)


def restrict(matrix: Tensor, players: Sequence[str]) -> Tensor:
    """The field when only some of (x, y) move: the rows of the others are zero."""
    d = len(matrix) // 2
    rows = torch.zeros(len(matrix), 1, dtype=matrix.dtype)
    rows[:d], rows[d:] = float("x" in players), float("y" in players)
    return rows * matrix


def simultaneous(matrix: Tensor, lr: float) -> Tensor:
    """I - eta M."""
    return _eye(matrix) - lr * matrix


def extragradient(matrix: Tensor, lr: float, extrapolation: float = 1.0) -> Tensor:
    """I - eta M (I - c eta M)."""
    return _eye(matrix) - lr * matrix @ (_eye(matrix) - extrapolation * lr * matrix)


def opponent_extragradient(matrix: Tensor, lr: float, extrapolation: float = 1.0) -> Tensor:
    """I - eta (M_own + M_others (I - c eta M)): own weights of time t, the others' of t+1/2."""
    d = len(matrix) // 2
    own = torch.block_diag(matrix[:d, :d], matrix[d:, d:])
    return _eye(matrix) - lr * (own + (matrix - own) @ (_eye(matrix) - extrapolation * lr * matrix))


def alternating(matrix: Tensor, order: Sequence[str], inner: Callable[[Tensor], Tensor]) -> Tensor:
    """The product of the inner rule's maps on the restricted fields, first mover rightmost."""
    product = _eye(matrix)
    for name in order:
        product = inner(restrict(matrix, [name])) @ product
    return product


def _eye(matrix: Tensor) -> Tensor:
    return torch.eye(len(matrix), dtype=matrix.dtype)
