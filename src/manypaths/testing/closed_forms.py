"""The matrices that rules apply on quadratic games, from formulas and read off the code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from manypaths.games.analytic.quadratic import Quadratic
from manypaths.optim.base import Optimizers
from manypaths.oracles.full_batch import FullBatch
from manypaths.rules.base import Rule
from manypaths.sources.base import IndexSource
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


def affine_map(
    rule: Callable[[], Rule],
    matrix: Tensor,
    *,
    lr: float,
    steps: int = 1,
    base: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
) -> Tensor:
    """The matrix that ``steps`` steps of a rule with a linear base apply to the joint iterate, column by column."""
    columns = []
    for unit in torch.eye(len(matrix), dtype=matrix.dtype):
        game = Quadratic(matrix, start=unit)
        optimizers = Optimizers({name: base(game.parameters(name), lr=lr) for name in game.players})
        training = Training(game, FullBatch(IndexSource(1), batch=1), rule(), optimizers)
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


def lookahead(inner: Tensor, k: int, alpha: float, steps: int) -> Tensor:
    """((1 - alpha) I + alpha A^k)^q, then A^r, with steps = q k + r and A the matrix of an inner step."""
    sync = _eye(inner).lerp(torch.linalg.matrix_power(inner, k), alpha)
    rest = torch.linalg.matrix_power(inner, steps % k)
    return rest @ torch.linalg.matrix_power(sync, steps // k)


def competitive(matrix: Tensor, lr: float) -> Tensor:
    """w - eta (I - eta^2 O O)^{-1} (I - eta O) M w, with O the off-diagonal blocks of M (both players at once)."""
    d = len(matrix) // 2
    others = matrix - torch.block_diag(matrix[:d, :d], matrix[d:, d:])
    system = _eye(matrix) - lr**2 * others @ others
    return _eye(matrix) - lr * torch.linalg.solve(system, (_eye(matrix) - lr * others) @ matrix)


# ---- rules that remember a joint vector m ---------------------------------------------------------------------------

Turn = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor, Tensor, Tensor]]
"""``turn(field, own, t)``: the blocks of (w, m) -> (w, m) when the players of the projector ``own``, whose restricted
field is ``field``, move for the t-th time, counted from 0."""


def remembering(matrix: Tensor, turns: Sequence[tuple[str, ...]], turn: Turn, *, memory: float = 0.0) -> Tensor:
    """The map w_0 -> w_T of a rule that remembers m, beginning at ``memory`` w_0: the product of companion matrices.

    ``turns`` says who moves: (("x", "y"),) * T is joint, (("x",), ("y",)) * T alternating play.
    """
    eye, moves = _eye(matrix), Counter[tuple[str, ...]]()
    state = torch.cat([eye, memory * eye])
    for players in turns:
        own = restrict(eye, players)
        ww, wm, mw, mm = turn(own @ matrix, own, moves[players])
        state = torch.cat([torch.cat([ww, wm], 1), torch.cat([mw, mm], 1)]) @ state
        moves[players] += 1
    return state[: len(matrix)]


def past_extragradient(lr: float) -> Turn:
    """m' = M (w - eta m),  w' = w - eta m', with m the last half-step gradient; it begins at zero."""

    def turn(field: Tensor, own: Tensor, t: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        eye = _eye(field)
        return eye - lr * field, lr**2 * field @ own, field, eye - own - lr * field @ own

    return turn


def optimistic(lr: float, optimism: float = 1.0) -> Turn:
    """w' = w - eta ((1 + o) M w - o m),  m' = M w; the first move is w - eta M w."""

    def turn(field: Tensor, own: Tensor, t: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        eye, o = _eye(field), optimism if t else 0.0
        return eye - lr * (1 + o) * field, lr * o * own, field, eye - own

    return turn


def anchored(lr: float, *, extrapolate: bool = True) -> Turn:
    """The anchor m = w_0 stays; with b = 1 / (t + 2), w' = w + b (m - w) - eta M (w + b (m - w) - eta M w) (EAG), or
    w' = b m + (1 - b) (w - eta M w) (Halpern)."""

    def turn(field: Tensor, own: Tensor, t: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        eye, b = _eye(field), 1 / (t + 2)
        if extrapolate:
            half, pull = eye - b * own - lr * field, b * own
            return eye - b * own - lr * field @ half, pull - lr * field @ pull, 0 * eye, eye
        return (eye - b * own) @ (eye - lr * field), b * own, 0 * eye, eye

    return turn


def alternating_extrapolation(lr: float, *extrapolation: float) -> Turn:
    """With m the extrapolated points, x' = x - eta (M_xx x + M_xy m_y),  m_x' = x + c (x' - x); (c_x, c_y)."""

    def turn(field: Tensor, own: Tensor, t: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        eye = _eye(field)
        c = torch.tensor(extrapolation, dtype=field.dtype).repeat_interleave(len(field) // 2).diag() @ own
        ww, wm = eye - lr * field @ own, -lr * field @ (eye - own)
        return ww, wm, own + c @ (ww - eye), eye - own + c @ wm

    return turn


def negative_momentum(lr: float, momentum: float) -> Turn:
    """m' = beta m + M w,  w' = w - eta m': the heavy ball, with m its velocity; it begins at zero."""

    def turn(field: Tensor, own: Tensor, t: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        eye = _eye(field)
        return eye - lr * field, -lr * momentum * own, field, eye - own + momentum * own

    return turn


def _eye(matrix: Tensor) -> Tensor:
    return torch.eye(len(matrix), dtype=matrix.dtype)
