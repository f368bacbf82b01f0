"""Randomness is explicit: named generators for streams, counters for what belongs to one component function."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from manypaths.errors import InvalidValue

_MASK = (1 << 62) - 1


def seed_for(seed: int, *purpose: object) -> int:
    """A seed derived from ``(seed, purpose)``; different purposes never share a stream."""
    text = ":".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") & _MASK


# What torch.compiler.assume_constant_result sets (it imports the compiler, seconds for those who never compile): a
# compiled loss holds the number instead of breaking its graph at the hash.
seed_for._dynamo_marked_constant = True  # type: ignore[attr-defined]


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
    """U[0, 1) numbers that are a pure function of each component function's seed.

    ``seeds`` is int64 of shape (N,); the result is (N, *shape). Row i depends on ``seeds[i]`` and the name of the
    ``stream`` alone, so the same component function sees the same numbers at two points, in any batch and on any
    device: what variance reduction needs of every random number in a loss.
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


Draw = Callable[[int, torch.Generator], Tensor]


def uniform_draw(n: int, generator: torch.Generator) -> Tensor:
    """``n`` numbers from U[0, 1), float64."""
    return torch.rand(n, generator=generator, dtype=torch.float64)


class Coins:
    """Random numbers for the members of a population, one generator each; a run alone is a population of one.

    Member i's stream depends on ``seeds[i]`` and the purpose alone. Numbers are drawn ahead in blocks, so that a
    thousand members cost a gather and not a thousand calls; ``draw`` must give the same stream however it is cut, as
    torch's uniform and integer draws do.
    """

    def __init__(self, seeds: Sequence[int], *purpose: object, draw: Draw = uniform_draw, block: int = 64):
        self._generators = [generator_for(seed, *purpose) for seed in seeds]
        self._draw, self._length = draw, block
        self._members = torch.arange(len(seeds))
        self._block = torch.stack([draw(block, generator) for generator in self._generators])
        self._position = torch.zeros(len(seeds), dtype=torch.int64)

    def next(self, members: Tensor | None = None) -> Tensor:
        """The next number of every member, (m,); with a mask only those of ``members`` advance (others get 1)."""
        if members is None:
            return self.next_of(self._members)
        rows = members.nonzero().flatten()
        values = self._block.new_ones(len(self._members))
        values[rows] = self.next_of(rows)
        return values

    def next_of(self, rows: Tensor) -> Tensor:
        """The next number of the named members, each named once, (len(rows),)."""
        position = self._position[rows]
        values = self._block[rows, position]
        self._position[rows] = position + 1
        for i in rows[position + 1 == self._length].tolist():
            self._block[i] = self._draw(self._length, self._generators[i])
            self._position[i] = 0
        return values

    def next_many(self, n: int) -> Tensor:
        """The next ``n`` numbers of every member, (m, n), of members that have drawn equally many so far."""
        parts, position = [], int(self._position[0])
        if not (self._position == position).all():
            raise InvalidValue("the members have drawn different numbers of coins: expected as many by each")
        while n > 0:
            parts.append(self._block[:, position : position + n].clone())
            n, position = n - parts[-1].shape[1], position + parts[-1].shape[1]
            if position == self._length:
                for row, generator in zip(self._block, self._generators, strict=True):
                    row.copy_(self._draw(self._length, generator))
                position = 0
        self._position.fill_(position)
        return torch.cat(parts, dim=1)

    def state_dict(self) -> dict[str, Any]:
        generators = torch.stack([generator.get_state() for generator in self._generators])
        return {"generators": generators, "block": self._block.clone(), "position": self._position.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for generator, saved in zip(self._generators, state["generators"], strict=True):
            generator.set_state(saved.clone())  # torch reads past a row of a larger tensor
        self._block.copy_(state["block"])
        self._position.copy_(state["position"])
