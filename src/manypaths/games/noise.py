"""Torch's global random numbers, made a function of the sample for the length of an evaluation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from manypaths.randomness import seed_for
from manypaths.sources.sample import Sample

T = TypeVar("T")


def seed_of(sample: Any) -> int:
    """A number that is a function of the sample's contents; 0 where there is no tensor in it."""
    seeds = getattr(sample, "seed", None)
    if seeds is not None:
        return int(seeds.sum()) & ((1 << 62) - 1)
    sums = [t.detach().double().sum() for t in tensors_in(sample)]
    if not sums:
        return 0
    # hashed: on a CPU only the lowest 32 bits of a seed count, and those of a sum of float32 are mostly zeros
    bits = torch.stack([s.to(sums[0].device) for s in sums]).view(torch.int64)
    return seed_for(0, "sample", *bits.tolist())


def tensors_in(sample: Any) -> Iterator[Tensor]:
    """The tensors of a sample, or of any nesting of tuples, lists and mappings."""
    if isinstance(sample, Tensor):
        yield sample
    elif isinstance(sample, (Sample, Mapping, tuple, list)):
        parts = sample.tensors() if isinstance(sample, Sample) else sample
        for part in parts.values() if isinstance(parts, Mapping) else parts:
            yield from tensors_in(part)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[Callable[[], bool]]:
    """Seed torch's own generators inside, and leave them as they were; yields whether anything was drawn so far."""
    generators = _global_generators(device)
    saved = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(seed)
    try:
        yield lambda: any(not torch.equal(g.get_state(), _fresh(seed, g.device)) for g in generators)
    finally:
        _set(generators, saved)


def each_from_here(calls: Iterable[Callable[[], T]], device: torch.device) -> list[T]:
    """What the calls return, each begun where torch's own generators stand now: none sees what another drew.

    The generators are left where the last call that drew anything left them, so that ``seeded`` still tells.
    """
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        return [call() for call in calls]  # generators have no state then, and what draws is not captured
    generators, found = _global_generators(device), []
    start = end = [generator.get_state() for generator in generators]
    for call in calls:
        found.append(call())
        now = [generator.get_state() for generator in generators]
        if not all(map(torch.equal, now, start)):
            end = now
            _set(generators, start)
    if end is not start:
        _set(generators, end)
    return found


def _set(generators: list[torch.Generator], states: list[torch.Tensor]) -> None:
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)


def _fresh(seed: int, device: torch.device) -> torch.Tensor:
    """The state of a generator that was seeded and has drawn nothing."""
    return torch.Generator(device).manual_seed(seed).get_state()


def _global_generators(device: torch.device) -> list[torch.Generator]:
    """Torch's own generators that an evaluation on ``device`` may draw from."""
    if device.type != "cuda":
        return [torch.default_generator]
    return [torch.default_generator, torch.cuda.default_generators[device.index or 0]]
