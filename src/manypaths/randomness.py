"""Randomness is explicit: named generators for streams, counters for what belongs to one summand."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

_MASK = (1 << 62) - 1


def seed_for(seed: int, *purpose: object) -> int:
    """A seed derived from ``(seed, purpose)``; different purposes never share a stream."""
    text = ":".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") & _MASK


def generator_for(seed: int, *purpose: object, device: str | torch.device = "cpu") -> torch.Generator:
    """A ``torch.Generator`` for one purpose of one seed."""
    return torch.Generator(device=device).manual_seed(seed_for(seed, *purpose))


def _mix(bits: Tensor) -> Tensor:
    """Finaliser of the SplitMix64 generator (Steele, Lea and Flood 2014) on wrapping int64."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ _shift_right(bits, shift)) * (factor - (1 << 64))
    return bits ^ _shift_right(bits, 31)


def _shift_right(bits: Tensor, by: int) -> Tensor:
    """Logical shift: torch's ``>>`` copies the sign bit of an int64."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def counter_uniform(seeds: Tensor, shape: tuple[int, ...], stream: str, *, dtype: torch.dtype | None = None) -> Tensor:
    """U[0, 1) numbers that are a pure function of each summand's seed.

    ``seeds`` is int64 of shape (N,); the result is (N, *shape). Row i depends on ``seeds[i]`` and the name of the
    ``stream`` alone, so the same summand sees the same numbers at two points, in any batch and on any device:
    what variance reduction needs of every random number in a loss.
    """
    count = math.prod(shape)
    start = seeds.reshape(-1, 1) ^ seed_for(0, stream)
    golden = 0x9E3779B97F4A7C15 - (1 << 64)
    step = torch.arange(1, count + 1, device=seeds.device, dtype=torch.int64) * golden
    bits = _mix(_mix(start) + step)
    dtype = dtype or torch.get_default_dtype()
    kept = 53 if dtype == torch.float64 else 24
    uniform = _shift_right(bits, 64 - kept).to(torch.float64 if kept == 53 else torch.float32) * 2.0**-kept
    return uniform.reshape(len(seeds), *shape).to(dtype)


def counter_normal(seeds: Tensor, shape: tuple[int, ...], stream: str, *, dtype: torch.dtype | None = None) -> Tensor:
    """N(0, 1) numbers by the Box-Muller transform of ``counter_uniform``; same guarantees."""
    dtype = dtype or torch.get_default_dtype()
    wide = torch.float64 if dtype == torch.float64 else torch.float32  # half precision would round 1 - u to 0
    radius = counter_uniform(seeds, shape, f"{stream}/radius", dtype=wide)
    angle = counter_uniform(seeds, shape, f"{stream}/angle", dtype=wide)
    return (torch.sqrt(-2.0 * torch.log1p(-radius)) * torch.cos(2.0 * math.pi * angle)).to(dtype)
