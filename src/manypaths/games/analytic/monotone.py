"""Component functions of strongly monotone quadratic games with chosen constants."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.fields import check_arguments
from manypaths.randomness import generator_for

Family = Literal["potential", "mixed", "rotation"]


def monotone_sum(
    n: fields.PositiveInt,
    d: fields.PositiveInt,
    family: Family,
    mu: fields.Positive,
    L: fields.Positive,
    cocoercivity: fields.Positive | None,
    noise: fields.NonNegative,
    seed: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """M_i (n, 2d, 2d), b_i (n, 2d) and a start (2d,), float64, of a game with exactly the constants mu, L and l.

    M_i = W_i B W_i' with W_i orthogonal within each player and B made of d blocks that couple x_j with y_j. Block j has
    eigenvalues of modulus r_j = mu (L / mu)^(j / (d - 1)) and is one of two normal matrices:

        potential  [[h, c], [c, h]],   h +- c = r_j, sqrt(mu r_j)
        rotation   [[h, s], [-s, h]],  h = mu^a r_j^(1 - a), h^2 + s^2 = r_j^2

    So every M_i has strong monotonicity mu, Lipschitz constant L and, the largest |lambda|^2 / Re lambda, cocoercivity
    l = L (L / mu)^a. W_i turns neighbouring blocks into each other by an angle of component function i's own: noise at
    every scale of curvature. Block 0 is left alone, and keeps mu the strong monotonicity of the mean.

    Args:
        n, d: component functions, and coordinates of each player (at least 3).
        family: ``"potential"``: potential blocks only, l = L. ``"rotation"``: rotation blocks with a = 1, l = L^2 / mu.
            ``"mixed"``: they alternate.
        mu, L: strong monotonicity of the mean and of each component function; Lipschitz constant of each component
            function.
        cocoercivity: l of a mixed game, in [L, L^2 / mu]; the geometric mean of the two ends by default.
        noise: (1/n sum_i ||F_i(w*)||^2)^(1/2), the noise at the solution; zero for a single component function.
        seed: of the rotations, of w* ~ N(0, I / 2d), of the noise and of the start, which is at distance 1 from w*.
    """
    check_arguments(monotone_sum, locals())
    exponent = _exponent(family, mu, L, cocoercivity)
    if d < 3:
        raise InvalidValue(f"d is {d}: expected at least 3, for block 0 is still and the others turn in pairs")
    generator = generator_for(seed, "quadratic.monotone", n, d)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    blocks = _blocks(d, family, mu, L, exponent)
    turns = _turns(d, 2 * math.pi * torch.rand(n, (d - 1) // 2, generator=generator, dtype=torch.float64))
    x_basis, y_basis = (torch.linalg.qr(draw(d, d)).Q @ turns for _ in range(2))
    basis = torch.zeros(n, 2 * d, 2 * d, dtype=torch.float64)
    basis[:, :d, :d], basis[:, d:, d:] = x_basis, y_basis
    matrices = basis @ blocks @ basis.mT
    solution, spread, away = draw(2 * d) / (2 * d) ** 0.5, draw(n, 2 * d), draw(2 * d)
    spread -= spread.mean(0)
    spread *= noise / spread.square().sum(1).mean().sqrt().clamp(min=torch.finfo(spread.dtype).tiny)
    return matrices, spread - matrices @ solution, solution + away / away.norm()


def _exponent(family: Family, mu: float, L: float, cocoercivity: float | None) -> float:
    """a with l = L (L / mu)^a."""
    if mu >= L:
        raise InvalidValue(f"mu is {mu:g} and L is {L:g}: expected mu < L")
    if family != "mixed":
        if cocoercivity is not None:
            raise InvalidValue(f"cocoercivity is {cocoercivity:g}: expected none, for family {family!r} decides it")
        return 0.0 if family == "potential" else 1.0
    if cocoercivity is None:
        return 0.5
    if not L <= cocoercivity <= L**2 / mu:
        raise InvalidValue(f"cocoercivity is {cocoercivity:g}: expected L <= l <= L^2 / mu, [{L:g}, {L**2 / mu:g}]")
    return math.log(cocoercivity / L) / math.log(L / mu)


def _blocks(d: int, family: Family, mu: float, L: float, exponent: float) -> Tensor:
    """B, (2d, 2d): the largest block of a mixed game rotates."""
    modulus = mu * (L / mu) ** torch.linspace(0, 1, d, dtype=torch.float64)
    low, pull = (mu * modulus).sqrt(), mu**exponent * modulus ** (1 - exponent)
    turn, together = (modulus.square() - pull.square()).clamp(min=0).sqrt(), (modulus - low) / 2
    from_top = torch.arange(d - 1, -1, -1)
    potential = {"potential": from_top >= 0, "mixed": from_top % 2 == 1, "rotation": from_top < 0}[family]
    own = torch.where(potential, (modulus + low) / 2, pull).diag()
    x_from_y = torch.where(potential, together, turn).diag()
    y_from_x = torch.where(potential, together, -turn).diag()
    return torch.cat([torch.cat([own, x_from_y], 1), torch.cat([y_from_x, own], 1)])


def _turns(d: int, angles: Tensor) -> Tensor:
    """Rotations (n, d, d) in the planes (d-1, d-2), (d-3, d-4), ...; coordinate 0 stays."""
    turns = torch.eye(d, dtype=angles.dtype).repeat(len(angles), 1, 1)
    i = torch.arange(d - 1, 1, -2)
    turns[:, i, i] = turns[:, i - 1, i - 1] = angles.cos()
    turns[:, i, i - 1], turns[:, i - 1, i] = angles.sin(), -angles.sin()
    return turns
