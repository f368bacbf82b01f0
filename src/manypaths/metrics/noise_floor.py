"""What a difference of two estimates must exceed to be more than chance: floors from exchanged samples."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from manypaths.errors import InvalidValue
from manypaths.metrics.sample_divergences import Measure

Sets = tuple[Tensor, Tensor]
"""Generated (m, N, d) and reference (m, M, d)."""


def null_differences(measure: Measure, before: Sets, after: Sets, *, nulls: int, generator: torch.Generator) -> Tensor:
    """|D(after') - D(before')|, (nulls, m), where a random half of the points have changed places with their partners.

    Point i of ``before`` and point i of ``after`` are partners. If nothing has moved in between, they can be exchanged
    without changing the law of either set, whether the two share latents (or a fixed reference) or nothing at all.
    """
    swapped: list[list[Tensor]] = [[], []]
    for old, new in zip(before, after, strict=True):
        swap = torch.rand(nulls, *old.shape[:2], 1, generator=generator) < 0.5
        swapped[0].append(torch.where(swap, new, old).flatten(0, 1))
        swapped[1].append(torch.where(swap, old, new).flatten(0, 1))
    earlier, later = (measure(generated, reference) for generated, reference in swapped)
    return (later - earlier).abs().reshape(nulls, -1)


def floor(differences: Tensor, alpha: float) -> Tensor:
    """The (1 - alpha) quantile of the null differences, (m,), from their absolute values (nulls, m).

    Exchanging *all* points turns the sign of a difference, so under the null its law is symmetric, and the quantile is
    the order statistic of rank (1 - 2 alpha) (nulls + 1) of the absolute values. The difference that was observed is
    one of nulls + 1 exchangeable ones: it exceeds the floor with probability alpha exactly where that rank is whole,
    else with less (a randomisation test).
    """
    return differences.sort(0).values[rank(len(differences), alpha) - 1]


def rank(nulls: int, alpha: float) -> int:
    """Of the order statistic; too few differences hold no such quantile."""
    if not 0 < alpha < 0.5:
        raise InvalidValue(f"alpha is {alpha}: expected a number > 0 and < 0.5")
    wanted = math.ceil((1 - 2 * alpha) * (nulls + 1) - 1e-9)
    if wanted > nulls:
        least = math.ceil(1 / (2 * alpha) - 1e-9) - 1
        raise InvalidValue(f"nulls is {nulls} and alpha {alpha}: expected at least {least}, or a larger alpha")
    return max(wanted, 1)
