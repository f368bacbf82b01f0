"""Torch's global random numbers, made a function of the sample for the length of an evaluation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch


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
        for generator, state in zip(generators, saved, strict=True):
            generator.set_state(state)


def _fresh(seed: int, device: torch.device) -> torch.Tensor:
    """The state of a generator that was seeded and has drawn nothing."""
    return torch.Generator(device).manual_seed(seed).get_state()


def _global_generators(device: torch.device) -> list[torch.Generator]:
    """Torch's own generators that an evaluation on ``device`` may draw from."""
    if device.type != "cuda":
        return [torch.default_generator]
    return [torch.default_generator, torch.cuda.default_generators[device.index or 0]]
