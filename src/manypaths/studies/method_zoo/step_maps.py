"""What one step of each rule is on a linear field: a matrix on (w, what is remembered), and the rate it has."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from manypaths.testing import closed_forms
from manypaths.testing.closed_forms import Turn


@dataclass(frozen=True)
class LinearField:
    """F(w) = M w, its players' sizes (they sum to D), and the step size eta."""

    matrix: Tensor
    sizes: tuple[int, ...]
    lr: float

    @property
    def eye(self) -> Tensor:
        return torch.eye(len(self.matrix), dtype=self.matrix.dtype)

    @property
    def owns(self) -> list[Tensor]:
        """The projector P_k on each player's coordinates, in the order of the players."""
        marks = torch.block_diag(*(torch.ones(1, size) for size in self.sizes)).to(self.matrix)
        return [mark.diag() for mark in marks]

    @property
    def lipschitz(self) -> float:
        """L."""
        return float(torch.linalg.matrix_norm(self.matrix, 2))


StepMap = Callable[[LinearField], Tensor]


def decades(step: StepMap, field: LinearField) -> float:
    """-log10 of the spectral radius of the map: asymptotic decades of distance per application."""
    radius = float(torch.linalg.eigvals(step(field)).abs().max())
    return -math.log10(radius) if radius else math.inf


def simultaneous(field: LinearField) -> Tensor:
    """I - eta M."""
    return closed_forms.simultaneous(field.matrix, field.lr)


def alternating(field: LinearField) -> Tensor:
    """The product of I - eta P_k M, the first mover rightmost."""
    product = field.eye
    for own in field.owns:
        product = closed_forms.simultaneous(own @ field.matrix, field.lr) @ product
    return product


def extragradient(extrapolation: float = 1.0) -> StepMap:
    """I - eta M (I - c eta M)."""
    return lambda field: closed_forms.extragradient(field.matrix, field.lr, extrapolation)


def competitive(field: LinearField) -> Tensor:
    """I - eta (I - eta^2 O O)^{-1} (I - eta O) M, with O = M - sum_k P_k M P_k what the players do to each other."""
    others = field.matrix - sum((own @ field.matrix @ own for own in field.owns), torch.zeros_like(field.matrix))
    system = field.eye - field.lr**2 * others @ others
    return field.eye - field.lr * torch.linalg.solve(system, (field.eye - field.lr * others) @ field.matrix)


def consensus(field: LinearField) -> Tensor:
    """I - eta (M + gamma M'M), gamma = 1 / L."""
    return field.eye - field.lr * (field.eye + field.matrix.mT / field.lipschitz) @ field.matrix


def symplectic(field: LinearField) -> Tensor:
    """I - eta (M + lambda A'M), A = (M - M') / 2 and lambda = 1 / L."""
    turn = (field.matrix - field.matrix.mT) / 2
    return field.eye - field.lr * (field.eye + turn.mT / field.lipschitz) @ field.matrix


def joint(turn: Callable[[float], Turn]) -> StepMap:
    """The companion matrix of a rule with memory whose players move together; ``turn`` is one of ``closed_forms``."""
    return lambda field: _companion(field, turn(field.lr), [field.eye])


def in_turns(turn: Callable[[float], Turn]) -> StepMap:
    """The same, where the players move one after the other."""
    return lambda field: _companion(field, turn(field.lr), field.owns)


def lookahead(inner: StepMap, *, k: int = 5, alpha: float = 0.5) -> StepMap:
    """(1 - alpha) I + alpha A^k: one sync, k steps of the inner map A."""
    return lambda field: field.eye.lerp(torch.linalg.matrix_power(inner(field), k), alpha)


def _companion(field: LinearField, turn: Turn, movers: list[Tensor]) -> Tensor:
    state = torch.eye(2 * len(field.matrix), dtype=field.matrix.dtype)
    for own in movers:
        ww, wm, mw, mm = turn(own @ field.matrix, own, 1)  # t = 1: no longer the first move, which has no memory
        state = torch.cat([torch.cat([ww, wm], 1), torch.cat([mw, mm], 1)]) @ state
    return state
