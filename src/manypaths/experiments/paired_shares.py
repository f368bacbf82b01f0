"""The difference of two shares that are read from the same trials."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from manypaths.errors import InvalidValue
from manypaths.experiments.estimates import Estimate

NUISANCE = 64
"""Values of the second arm's share at which a tail is looked at; the largest counts."""
HALVINGS = 24


@lru_cache(maxsize=4096)
def paired_interval(first: int, second: int, n: int, *, level: float = 0.95) -> Estimate:
    """The difference d = p1 - p2 of two shares over the same n trials, and its exact interval.

    ``first`` trials succeed in the first arm alone (with probability p1), ``second`` in the second alone (p2). The
    interval holds the d that two one-sided tests do not reject, whose tails are summed over all outcomes and maximised
    over p2; outcomes are ordered by the score of Tango (Statistics in Medicine 17, 1998),

        z = (first - second - n d) / sqrt(n (2 q + d (1 - d))),  q the likeliest p2 for that d.
    """
    if min(first, second) < 0 or first + second > n or n < 1:
        raise InvalidValue(f"{first} and {second} discordant pairs of {n}: expected at most {n}, none negative")
    tail = (1 - level) / 2
    low = -1.0 if second == n else _lower_limit(first, second, n, tail)
    high = 1.0 if first == n else -_lower_limit(second, first, n, tail)
    return Estimate((first - second) / n, low, high)


def _lower_limit(first: int, second: int, n: int, tail: float) -> float:
    """The smallest difference at which so many successes, or more extreme ones, are no rarer than the tail."""
    low, high = -1.0, (first - second) / n
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _chance(first, second, n, middle) > tail else (middle, high)
    return high


def _chance(first: int, second: int, n: int, d: float) -> float:
    """The largest probability, over p2, of a score at least as high as that of the outcome, where p1 - p2 = d."""
    ones, twos, ways = _outcomes(n)
    extreme = _score(ones, twos, n, d) >= _score(np.array(first), np.array(second), n, d) - 1e-9
    twos_share = np.linspace(max(0.0, -d), (1 - d) / 2, NUISANCE)[:, None]
    neither = np.clip(1 - 2 * twos_share - d, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [
            np.where(count == 0, 0.0, count * np.log(np.clip(share, 0.0, 1.0)))
            for count, share in ((ones, twos_share + d), (twos, twos_share), (n - ones - twos, neither))
        ]
    return float((np.exp(ways + sum(logs)) * extreme).sum(1).max())


def _score(ones: np.ndarray, twos: np.ndarray, n: int, d: float) -> np.ndarray:
    b = -ones - twos + (2 * n - ones + twos) * d
    c = -twos * d * (1 - d)
    likeliest = (np.sqrt(np.maximum(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * likeliest + d * (1 - d))
    distance = ones - twos - n * d
    safe = np.where(variance > 1e-12, variance, 1.0)
    return np.where(variance > 1e-12, distance / np.sqrt(safe), np.where(np.abs(distance) < 1e-9, 0.0, np.inf))


@lru_cache(maxsize=8)
def _outcomes(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All numbers of discordant pairs, and the logarithm of the ways to come to them."""
    pairs = np.array([(i, j) for i in range(n + 1) for j in range(n + 1 - i)])
    factorial = np.array([math.lgamma(k + 1) for k in range(n + 1)])
    ones, twos = pairs.T
    return ones, twos, factorial[n] - factorial[ones] - factorial[twos] - factorial[n - ones - twos]
