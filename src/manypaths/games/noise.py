"""Torch's global random numbers, made a function of the sample for the length of an evaluation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

T = TypeVar("T")


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
