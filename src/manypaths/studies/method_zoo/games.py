"""The games of the method zoo, with the scales of their fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from manypaths.games.analytic.base import AnalyticGame
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.analytic.coordinatewise import Coordinatewise
from manypaths.games.analytic.dirac import DiracGan
from manypaths.games.analytic.gaussian_gan import GaussianGan
from manypaths.games.analytic.matrix_game import MatrixGame
from manypaths.games.analytic.monotone import Family
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.games.analytic.robust_least_squares import RobustLeastSquares
from manypaths.randomness import generator_for

N = 10
"""Component functions of a game that has several."""


@dataclass(frozen=True)
class Arena:
    """A game and the scales of its field at the solution, near which all runs begin.

    Attributes:
        game: what is played.
        still: of a linear game, the same mean field with its solution at the origin, where distances have no rounding
            floor. Methods that see nothing but the mean field commute with translations and play this one.
        radius: how far from the solution the runs begin.
    """

    game: AnalyticGame
    still: AnalyticGame | None = None
    radius: float = 1.0

    @cached_property
    def solution(self) -> Tensor:
        return self.game.solution()

    @cached_property
    def matrix(self) -> Tensor:
        """J(w*), (D, D), which is the whole field of a linear game."""
        return self.game.jacobian(self.solution)

    @property
    def lipschitz(self) -> float:
        """L, of the mean field at the solution."""
        return float(torch.linalg.matrix_norm(self.matrix, 2))

    @cached_property
    def components(self) -> Tensor:
        """L_i, of each component function there, (n,)."""
        every = torch.arange(self.game.size)[:, None]
        return torch.linalg.matrix_norm(self.game.jacobian(self.solution.expand(len(every), -1), every), 2)

    def offset(self, seed: int) -> Tensor:
        """Where a run begins, relative to the solution, (D,): in a random direction that the field sees."""
        generator = generator_for(seed, "method-zoo")
        direction = torch.randn(len(self.solution), generator=generator, dtype=self.solution.dtype)
        direction = torch.linalg.pinv(self.matrix) @ self.matrix @ direction
        return self.radius * direction / direction.norm()


def _bilinear() -> Arena:
    game = Bilinear.with_spectrum(N, (1.0, 0.8, 0.6), noise=0.3)
    return Arena(game, still=Quadratic(game.matrices))


def _quadratic(family: Family) -> Callable[[], Arena]:
    def make() -> Arena:
        game = Quadratic.monotone(N, 4, family=family, mu=0.1, L=1.0, noise=0.3)
        return Arena(game, still=Quadratic(game.matrices))

    return make


def _robust() -> Arena:
    game = RobustLeastSquares.synthetic(N, 4, condition=1.5, noise=0.3)
    return Arena(game, still=RobustLeastSquares(game.features, torch.zeros_like(game.labels)))


ARENAS: dict[str, Callable[[], Arena]] = {
    "bilinear": _bilinear,  # deterministic for methods that take the whole sum, noisy for the others
    "mixed quadratic": _quadratic("mixed"),  # strongly monotone, half potential and half rotation
    "rotation quadratic": _quadratic("rotation"),  # strongly monotone, |eigenvalues| up to 10 times their real parts
    "Dirac-GAN": lambda: Arena(DiracGan(), radius=0.5),  # Mescheder, Geiger and Nowozin 2018
    "Dirac-GAN, R1": lambda: Arena(DiracGan(r1=0.3), radius=0.5),
    "Gaussian GAN": lambda: Arena(GaussianGan(mean=0.5), radius=0.2),
    "coordinatewise": lambda: Arena(  # SVRE, section 2: the noise vanishes at the solution
        Coordinatewise(N, noise=False), still=Coordinatewise(N, noise=False)
    ),
    "coordinatewise, noisy": lambda: Arena(  # its solution is at a distance of about 6 from the origin
        Coordinatewise(N), still=Coordinatewise(N, noise=False), radius=6.0
    ),
    "rock-paper-scissors": lambda: Arena(MatrixGame.rock_paper_scissors(n=N, noise=0.5), radius=0.5),
    "robust least squares": _robust,
}
LINEAR = ("bilinear", "mixed quadratic", "rotation quadratic", "coordinatewise", "robust least squares")
"""Arenas with a field of their own that is linear (the noisy coordinatewise game has the mean field of the other)."""
