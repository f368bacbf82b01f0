"""How a data set's feature net is made; the data set declares it, ``manypaths.metrics`` trains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class NetRecipe:
    """How a feature net is made: Adam with a one-cycle schedule on the training split, nothing augmented.

    ``at_least`` is the test accuracy below which the net is refused.
    """

    epochs: int
    at_least: float
    batch: int = 128
    lr: float = 3e-3
    seed: int = 0


@dataclass(frozen=True)
class NetSpec:
    """A classifier by its name in ``manypaths.models.classifiers``, or ``package.module:Class``, and its training."""

    classifier: str
    recipe: NetRecipe
    settings: Mapping[str, Any] = field(default_factory=dict)
