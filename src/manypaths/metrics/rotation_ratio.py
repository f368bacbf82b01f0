"""How much of a game is rotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.metrics.jacobian import FieldJacobian
from manypaths.randomness import generator_for


@dataclass(frozen=True)
class RotationRatio:
    """The antisymmetric share of the Jacobian.

    Attributes:
        ratio: ||A||_F^2 / ||J||_F^2 with A = (J - J') / 2; 0 is a potential, 1 a pure rotation. NaN where J = 0.
        standard_error: of ``ratio`` over the probes; 0 where it is exact.
        squared_norm: ||J||_F^2.
    """

    ratio: float
    standard_error: float
    squared_norm: float


def rotation_ratio(game: Game, sample: Any, *, probes: int = 32, seed: int = 0) -> RotationRatio:
    """||A||_F^2 / ||J||_F^2 at the current iterate on one sample, of the Jacobian J = dF/dw of all players.

    Exact for a game with its Jacobian in closed form. Else by ``probes`` random signs v (Hutchinson 1990):
    ||A||_F^2 = E ||Jv - J'v||^2 / 4 and ||J||_F^2 = E (||Jv||^2 + ||J'v||^2) / 2, whose ratio is never outside [0, 1].
    A random matrix without structure has 1/2.

    Weights and buffers stay as they are, and no oracle counts it.
    """
    jacobian = FieldJacobian(game, sample)
    if jacobian.matrix is not None:
        total = jacobian.matrix.square().sum()
        turning = (jacobian.matrix - jacobian.matrix.mT).square().sum() / 4
        return RotationRatio(float(turning / total), 0.0, float(total))
    if probes < 2:
        raise InvalidValue(f"probes is {probes}: expected at least 2, for a standard error needs two")
    generator, readings = generator_for(seed, "rotation_ratio"), []
    for _ in range(probes):
        signs = 2.0 * torch.randint(2, (jacobian.size,), generator=generator) - 1
        back, ahead = (u.double() for u in jacobian.both(signs))
        readings.append([float((ahead - back).square().sum() / 4), float((ahead.square() + back.square()).sum() / 2)])
    turning, total = torch.tensor(readings, dtype=torch.float64).unbind(1)
    ratio = turning.mean() / total.mean()
    error = (turning - ratio * total).std() / total.mean() / probes**0.5  # of a ratio of means, to first order
    return RotationRatio(float(ratio), float(error), float(total.mean()))
