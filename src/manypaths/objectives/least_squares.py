"""The least-squares game (Mao et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.objectives.base import Objective
from manypaths.objectives.divergences import triangular


@dataclass(frozen=True)
class LeastSquares(Objective):
    """L_critic = E (s(x) - b)^2 / 2 + E (s(G(z)) - a)^2 / 2,  L_generator = E (s(G(z)) - c)^2 / 2.

    The labels 0 and 1 are the default; (a, b, c) = (-1, 1, 0) is the paper's other choice.

    Stands for D = (b - a)^2 / 8 sum (p - q)^2 / (p + q): the optimal critic is s = (b p + a q) / (p + q), where
    L_critic = (b - a)^2 / 4 - D. For b - c = 1 and b - a = 2 it is the paper's Pearson chi^2(p + q || 2 q) / 2, the
    value of E (s(x) - c)^2 / 2 + E (s(G(z)) - c)^2 / 2; another c adds a constant to that value. The generator's
    gradient with the critic held fixed is *not* that of D.

    Attributes:
        fake_label: a, what the critic should say of a fake.
        real_label: b, what it should say of a datum.
        generator_label: c, what the generator wants it to say of a fake.
    """

    fake_label: float = 0.0
    real_label: float = 1.0
    generator_label: float = 1.0

    def __post_init__(self) -> None:
        fields.check(self)
        if self.fake_label == self.real_label:
            raise InvalidValue(f"fake_label and real_label are both {self.real_label}: expected two different numbers")

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return _half_square(real - self.real_label) + _half_square(fake - self.fake_label)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return _half_square(fake - self.generator_label)

    def optimal_critic(self, p: Tensor, q: Tensor, points: Tensor | None = None) -> Tensor:
        return (self.real_label * p + self.fake_label * q) / (p + q)

    def divergence(self, p: Tensor, q: Tensor, points: Tensor | None = None) -> Tensor:
        return (self.real_label - self.fake_label) ** 2 / 8 * triangular(p, q)


def _half_square(error: Tensor) -> Tensor:
    return error.square().mean() / 2
