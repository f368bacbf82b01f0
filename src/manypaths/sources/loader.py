"""Samples from a ``DataLoader`` that the user already has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import SequentialSampler

from manypaths.errors import InvalidType, InvalidValue
from manypaths.randomness import generator_for
from manypaths.sources.base import Source
from manypaths.sources.finite import expect_eight_bits, expect_finite
from manypaths.sources.gan_sample import GanSample
from manypaths.sources.items import Key, entries
from manypaths.sources.labels import integer_labels
from manypaths.sources.numbers import data_tensor
from manypaths.sources.paired import floating
from manypaths.sources.pixels import to_float

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


@dataclass(frozen=True)
class _Place:
    """So many batches into the epoch that the loader's generator began in this state."""

    epoch: Tensor | None
    position: int

    def next(self) -> _Place:
        return _Place(self.epoch, self.position + 1)


class LoaderSource(Source):
    """An infinite source that walks a ``DataLoader`` over and over and draws fresh latents.

    The loader decides the batch size; ``sample(n)`` refuses any other. Resuming replays the position inside the
    epoch, which needs a loader whose shuffling has a generator of its own.

    ``image`` and ``label`` are the keys of batches that are dicts, or the places in tuples; of a tuple the first entry
    is the data and the second the label by default.
    """

    def __init__(
        self,
        loader: DataLoader[Any],
        *,
        latent: int,
        seed: int = 0,
        image: Key | None = None,
        label: Key | None = None,
    ):
        if loader.batch_size is None or not loader.drop_last:
            raise InvalidValue("the loader yields batches of unequal size: set batch_size and drop_last=True")
        self.loader, self.latent, self.generator = loader, latent, generator_for(seed, "source")
        self.image, self.label = image, label
        self._device: str | torch.device | None = None
        self._batches: Iterator[Any] | None = None
        self._place = self._loader_at = _Place(self._loader_state(), 0)
        self._again: list[tuple[Any, _Place]] = []
        """Batches that the loader has gone past and this source has not, and where each of them leads."""
        self._seen: list[tuple[Any, _Place]] | None = None

    def sample(self, n: int) -> GanSample:
        if n != self.loader.batch_size:
            raise InvalidValue(
                f"batch is {n} and the loader's batch_size is {self.loader.batch_size}: expected the same"
            )
        batch = self._next_batch()
        found, label = entries(batch, self.image, self.label, "batches of the loader")
        if not isinstance(found, Tensor):
            raise InvalidType(
                f"the data of the loader's batches are {type(found).__name__}: expected one tensor; name where it is, "
                "image=0 in a tuple or image='key' in a dict"
            )
        real = data_tensor(found, "a batch of the loader")
        _expect_numbers(real, self._place.position - 1)
        real = to_float(real if self._device is None else real.to(self._device))
        latent = torch.randn(n, self.latent, generator=self.generator).to(real.device, floating(real))
        seeds = torch.randint(1 << 62, (n,), generator=self.generator).to(real.device)
        return GanSample(real, latent, seeds, self._labels(label, real.device))

    def _labels(self, label: Any, device: torch.device) -> Tensor | None:
        """Batches cannot number text alike; what is no tensor is left out unless it was asked for by name."""
        if isinstance(label, Tensor):
            return integer_labels(label).to(device)
        if self.label is not None:
            raise InvalidType(
                f"the labels of the loader's batches are {type(label).__name__}: expected a tensor of class indices; "
                "number text in the data set"
            )
        return None

    def to(self, device: str | torch.device) -> LoaderSource:
        """Move batches to a device as they are drawn; latents are drawn on the CPU, so that devices agree."""
        self._device = device
        return self

    def state_dict(self) -> dict[str, Any]:
        if not isinstance(self.loader.sampler, SequentialSampler) and self._place.epoch is None:
            raise InvalidType(
                "this DataLoader shuffles with torch's global generator and cannot be resumed: "
                "build it with DataLoader(..., generator=torch.Generator().manual_seed(0))"
            )
        place = self._place
        return {"generator": self.generator.get_state(), "position": place.position, "epoch": place.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])
        if state["epoch"] is not None:
            self._loader_generator().set_state(state["epoch"])
        self._again = []
        self._begin_epoch()
        self._place = self._loader_at
        for _ in range(state["position"]):
            self._next_batch()

    def _begin_epoch(self) -> None:
        self._loader_at = _Place(self._loader_state(), 0)
        self._batches = iter(self.loader)

    @contextlib.contextmanager
    def rewound(self) -> Iterator[None]:
        """Batches drawn inside are kept and handed out again: a loader cannot go back.

        A state that is saved meanwhile says where this source stands, and not how far the loader is.
        """
        generator, place = self.generator.get_state(), self._place
        around, self._seen = self._seen, []
        try:
            yield
        finally:
            self._again, self._seen = [*self._seen, *self._again], around
            self._place = place
            self.generator.set_state(generator)

    def _next_batch(self) -> Any:
        drawn = self._again.pop(0) if self._again else (self._fetch(), self._loader_at)
        if self._seen is not None:
            self._seen.append(drawn)
        batch, self._place = drawn
        return batch

    def _fetch(self) -> Any:
        for _ in range(2):
            if self._batches is None:
                self._begin_epoch()
            assert self._batches is not None
            batch = next(self._batches, None)
            if batch is not None:
                self._loader_at = self._loader_at.next()
                return batch
            self._batches = None
        raise InvalidValue("the loader is empty: its data set has fewer items than one batch")

    def _loader_generator(self) -> Any:
        return self.loader.generator or getattr(self.loader.sampler, "generator", None)

    def _loader_state(self) -> Tensor | None:
        generator = self._loader_generator()
        return None if generator is None else generator.get_state()


def _expect_numbers(real: Tensor, position: int) -> None:
    """Look at data on the CPU, where it takes microseconds; on a GPU every look would wait for the device."""
    if real.device.type == "cpu":
        expect_finite(real, f"the data of the loader's batch {position}")
        if position == 0:
            expect_eight_bits(real, "the loader's images")
