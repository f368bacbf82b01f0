"""Samples from a ``DataLoader`` that the user already has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import SequentialSampler

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.gan_sample import GanSample
from manypaths.games.paired import floating
from manypaths.games.pixels import to_float
from manypaths.games.source import Source
from manypaths.randomness import generator_for

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


class LoaderSource(Source):
    """An infinite source that walks a ``DataLoader`` over and over and draws fresh latents.

    The loader decides the batch size; ``sample(n)`` refuses any other. Resuming replays the position inside the
    epoch, which needs a loader whose shuffling has a generator of its own.
    """

    def __init__(self, loader: DataLoader[Any], *, latent: int, seed: int = 0):
        if loader.batch_size is None or not loader.drop_last:
            raise InvalidValue("the loader yields batches of unequal size: set batch_size and drop_last=True")
        self.loader, self.latent, self.generator = loader, latent, generator_for(seed, "source")
        self._batches: Iterator[Any] | None = None
        self._again: list[Any] = []
        self._seen: list[Any] | None = None
        self._position, self._epoch_state = 0, self._loader_state()

    def sample(self, n: int) -> GanSample:
        if n != self.loader.batch_size:
            raise InvalidValue(
                f"batch is {n} and the loader's batch_size is {self.loader.batch_size}: expected the same"
            )
        batch = self._next_batch()
        real, label = (
            (batch[0], batch[1] if len(batch) > 1 else None) if isinstance(batch, (tuple, list)) else (batch, None)
        )
        real = to_float(real)
        latent = torch.randn(n, self.latent, generator=self.generator).to(floating(real))
        return GanSample(real, latent, torch.randint(1 << 62, (n,), generator=self.generator), label)

    def state_dict(self) -> dict[str, Any]:
        if not isinstance(self.loader.sampler, SequentialSampler) and self._epoch_state is None:
            raise InvalidType(
                "this DataLoader shuffles with torch's global generator and cannot be resumed: "
                "build it with DataLoader(..., generator=torch.Generator().manual_seed(0))"
            )
        return {"generator": self.generator.get_state(), "position": self._position, "epoch": self._epoch_state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])
        if state["epoch"] is not None:
            self._loader_generator().set_state(state["epoch"])
        self._begin_epoch()
        for _ in range(state["position"]):
            self._next_batch()

    def _begin_epoch(self) -> None:
        self._epoch_state, self._position = self._loader_state(), 0
        self._batches = iter(self.loader)

    @contextlib.contextmanager
    def rewound(self) -> Iterator[None]:
        """Batches drawn inside are kept and handed out again: a loader cannot go back."""
        generator, self._seen = self.generator.get_state(), []
        try:
            yield
        finally:
            self._again, self._seen = [*self._seen, *self._again], None
            self._position -= len(self._again)
            self.generator.set_state(generator)

    def _next_batch(self) -> Any:
        batch = self._again.pop(0) if self._again else self._fetch()
        self._position += 1
        if self._seen is not None:
            self._seen.append(batch)
        return batch

    def _fetch(self) -> Any:
        for _ in range(2):
            if self._batches is None:
                self._begin_epoch()
            assert self._batches is not None
            batch = next(self._batches, None)
            if batch is not None:
                return batch
            self._batches = None
        raise InvalidValue("the loader is empty: its data set has fewer items than one batch")

    def _loader_generator(self) -> Any:
        return self.loader.generator or getattr(self.loader.sampler, "generator", None)

    def _loader_state(self) -> Tensor | None:
        generator = self._loader_generator()
        return None if generator is None else generator.get_state()
