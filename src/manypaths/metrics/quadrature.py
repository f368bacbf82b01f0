"""Known densities on a grid of the line or the plane: integrals instead of samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue

LogDensity = Callable[[Tensor], Tensor]
"""log p at points (K, d): (K,), or (m, K) for m members at once."""


@dataclass(frozen=True)
class Grid:
    """The midpoints of equal cells of a box in one or two dimensions.

    For smooth densities that have died out at the box's border the midpoint rule is exact to all orders; a cell
    should be no wider than the narrowest standard deviation.

    Attributes:
        low, high: the box's corners, one number per dimension.
        cells: per dimension.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    cells: fields.PositiveInt = 400

    def __post_init__(self) -> None:
        fields.check(self)
        if not 1 <= len(self.low) == len(self.high) <= 2:
            raise InvalidValue(f"the grid's corners are {self.low} and {self.high}: expected one or two numbers each")
        if any(low >= high for low, high in zip(self.low, self.high, strict=True)):
            raise InvalidValue(f"the grid's corners are {self.low} and {self.high}: expected low < high")

    @cached_property
    def points(self) -> Tensor:
        """The midpoints, (K, d) in float64; ascending on the line."""
        steps = (torch.arange(self.cells, dtype=torch.float64) + 0.5) / self.cells
        axes = [low + (high - low) * steps for low, high in zip(self.low, self.high, strict=True)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)

    @property
    def line(self) -> Tensor | None:
        """The midpoints as numbers, (K,), where the grid is one of the line."""
        return self.points[:, 0] if len(self.low) == 1 else None

    def log_masses(self, log_density: LogDensity) -> Tensor:
        """The logarithms of the cells' masses, (m, K) (m = 1 for one density), which sum to 1 up to 1e-4."""
        sides = zip(self.low, self.high, strict=True)
        cell = math.prod((high - low) / self.cells for low, high in sides)
        found = torch.atleast_2d(log_density(self.points).double()) + math.log(cell)
        totals = found.exp().sum(-1)
        if not ((totals - 1).abs() < 1e-4).all():
            worst = float(totals[(totals - 1).abs().argmax()])
            raise InvalidValue(
                f"the grid holds {worst:.6g} of a density's mass: expected 1 up to 1e-4, from a wider or a finer grid"
            )
        return found


def log_mass_kullback_leibler(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of log masses (m, K), (m,): from logarithms, so that a mass too small for a float64 is no infinity."""
    masses = p.exp()
    return torch.where(masses > 0, masses * (p - q), 0.0).sum(-1)
