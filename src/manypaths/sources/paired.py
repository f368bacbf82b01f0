"""Data and latents, paired into a finite sum."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue
from manypaths.fields import check_arguments
from manypaths.randomness import counter_uniform, generator_for, seed_for
from manypaths.sources.base import FiniteSource
from manypaths.sources.finite import expect_eight_bits, expect_finite
from manypaths.sources.gan_sample import GanSample
from manypaths.sources.items import Key
from manypaths.sources.labels import integer_labels
from manypaths.sources.numbers import data_tensor
from manypaths.sources.order import Order, OrderName
from manypaths.sources.pixels import Pixels, to_float
from manypaths.sources.stacking import stack_dataset


class PairedSource(FiniteSource):
    """Resident data, one latent vector and one seed per datum.

    A GAN is a finite sum only with a finite set of latents: here component function i is (real_i, latent_i, seed_i),
    and the latents and seeds are drawn anew only inside a snapshot refresh. With ``latents="fresh"`` every draw has new
    latents and the source is infinite: the usual GAN, for oracles that need no finite sum.

    Args:
        real: (N, ...); uint8 images are stored as they are and become floats when they are drawn.
        labels: (N,) class indices or ``None``.
        latent: length of a latent vector, drawn from N(0, I).
        latents: ``"paired"`` (finite), ``"fresh"`` (infinite), or ``"auto"``: paired where the oracle needs a finite
            sum, and fresh where it does not, which ``Training`` decides.
        redraw: when paired latents are drawn anew: inside a ``"refresh"`` of the snapshot, ``"never"``, or after each
            full ``"traversal"``, under a living snapshot, which is the order of the SVRE authors' MNIST code: it
            biases the estimate and is here to be compared with (mini-batches of a partition traverse nothing: an
            oracle whose component functions they are refuses it). The partition into mini-batches is another one after
            every refresh, so that no datum keeps its company for good.
        order: ``"independent"`` draws with replacement, ``"shuffled"`` visits every datum once per epoch,
            ``"flip-flop"`` goes through each epoch there and back (``Order``).
        pixels: the range of the floats, [-1, 1] (``"symmetric"``) or [0, 1] (``"unit"``, as in the SVRE authors' MNIST
            code, under a tanh generator).
        flip: mirror each image left to right with probability 1/2, by a coin that is a function of the sample's seed:
            the same component function is the same image at two points, until its seed is drawn anew.
    """

    def __init__(
        self,
        real: Tensor,
        labels: Tensor | None = None,
        *,
        latent: fields.PositiveInt,
        latents: Literal["paired", "fresh", "auto"] = "paired",
        redraw: Literal["refresh", "never", "traversal"] = "refresh",
        order: OrderName = "independent",
        pixels: Pixels = "symmetric",
        flip: bool = False,
        seed: int = 0,
    ):
        check_arguments(PairedSource, locals())
        real = data_tensor(real, "real")
        labels = None if labels is None else integer_labels(labels)
        if latents == "fresh" and redraw != "refresh":
            raise InvalidValue(
                f"redraw is {redraw!r} and latents are 'fresh', new in every draw: expected latents='paired', whose "
                "redraws it times (or leave it away)"
            )
        if labels is not None and len(labels) != len(real):
            raise InvalidValue(f"there are {len(labels)} labels for {len(real)} data: expected as many")
        if flip and real.ndim != 4:
            raise InvalidType(f"flip is True and the data have shape {tuple(real.shape)}: expected images (N, C, H, W)")
        expect_finite(real, "the data")
        expect_eight_bits(real, "the data")
        self.pixels: Pixels = pixels
        self.flip = flip
        self.real, self.labels, self.latent = real, labels, latent
        self._chooses = latents == "auto"
        self.latents: Literal["paired", "fresh"] = "fresh" if latents == "fresh" else "paired"
        self.redraw_when, self.order, self.seed = redraw, order, seed
        self.redraws_by_traversal = redraw == "traversal"
        self.count = len(real)
        self.size = self.count if self.latents == "paired" else None  # type: ignore[assignment]
        self._redraws, self._partitions, self._drawn = 0, 0, 0
        self._ordered = Order(order, self.count)
        self._filled = -1
        self._fill()

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset[Any] | Tensor | np.ndarray,
        *,
        latent: int,
        seed: int = 0,
        image: Key | None = None,
        label: Key | None = None,
        **options: Any,
    ) -> PairedSource:
        """From a torch ``Dataset`` of images or (image, label) pairs, from one tensor or one array.

        Images are tensors, arrays or pictures; they become one resident tensor. ``image`` and ``label`` are the keys
        of items that are dicts, or the places in other tuples. ``options`` are this class's others;
        ``latents`` is ``"auto"`` here unless it is set.
        """
        found = stack_dataset(dataset, image=image, label=label)
        source = cls(found.real, found.labels, latent=latent, seed=seed, **{"latents": "auto", **options})
        source.notes = found.notes
        return source

    def settle(self, *, finite: bool) -> str | None:
        if not self._chooses:
            if finite or self.latents == "fresh":
                return None
            return (
                f"training sees {self.count:,} fixed latents, one per datum, for ever: this oracle takes no snapshots, "
                "at which paired latents are drawn anew; latents='fresh' draws new ones for every batch"
            )
        if not finite and self.redraw_when != "refresh":
            raise InvalidValue(
                f"redraw is {self.redraw_when!r} and this oracle needs no finite sum, so that latents are fresh in "
                "every draw: expected latents='paired', whose redraws it times (or leave it away)"
            )
        self.latents = "paired" if finite else "fresh"
        self.size = self.count if finite else None  # type: ignore[assignment]
        self._fill()
        if finite:
            return "every datum has a latent of its own (latents='auto'): the oracle needs a finite sum"
        return "every batch has fresh latents (latents='auto'): the oracle needs no finite sum"

    def sample(self, n: int) -> GanSample:
        index = self.indices(n)
        return self.take(index) if self.latents == "paired" else self._fresh(index)

    def indices(self, n: int) -> Tensor:
        if self.redraw_when == "traversal" and self._drawn >= self.count:
            self._next_set()
            self._drawn = 0
        self._drawn += n
        return self._ordered.next(n, self.generator)

    def take(self, index: Tensor) -> GanSample:
        if self.size is None:
            raise self._infinite("access by index")
        return self._sample(index, _rows(self._latents, index), _rows(self._seeds, index))

    @classmethod
    def take_members(
        cls, sources: Sequence[PairedSource], index: Tensor
    ) -> tuple[type[GanSample], dict[str, Tensor]] | None:
        """One look into the data that all sources share; latents and seeds are each source's own."""
        first = sources[0]
        same = (first.pixels, first.flip)
        if any(s.real is not first.real or s.labels is not first.labels or (s.pixels, s.flip) != same for s in sources):
            return None
        latents, seeds = (
            torch.stack([own[i] for own, i in zip(owns, index, strict=True)])
            for owns in ([s._latents for s in sources], [s._seeds for s in sources])
        )
        return GanSample, first._sample(index, latents, seeds).tensors()

    def redraw(self) -> None:
        self._partitions += 1
        if self.redraw_when == "refresh" and self.latents == "paired":
            self._next_set()

    def require_finite(self, what: str) -> None:
        if self._chooses:
            self.settle(finite=True)
        super().require_finite(what)

    @contextlib.contextmanager
    def rewound(self) -> Iterator[None]:
        """Also what was settled inside is open again."""
        latents, size = self.latents, self.size
        with super().rewound():
            yield
        self.latents, self.size = latents, size
        self._fill()

    def state_dict(self) -> dict[str, Any]:
        counts = {"redraws": self._redraws, "partitions": self._partitions, "drawn": self._drawn}
        state = {**counts, "order": self._ordered.ahead}
        return {**super().state_dict(), **state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._redraws, self._drawn, order = state["redraws"], state["drawn"], state["order"]
        self._ordered.ahead = None if order is None else order.cpu().clone()
        self._partitions = state.get("partitions", self._redraws)  # checkpoints of before have one count for both
        self._fill()

    def to(self, device: str | torch.device) -> PairedSource:
        """Keep the data on a device; indices and latents are drawn on the CPU, so that devices agree."""
        self.real = self.real.to(device)
        self.labels = None if self.labels is None else self.labels.to(device)
        return self

    # ---- how ------------------------------------------------------------------------------------------------------

    def _fresh(self, index: Tensor) -> GanSample:
        latent = torch.randn(len(index), self.latent, generator=self.generator)
        seeds = torch.randint(1 << 62, (len(index),), generator=self.generator)
        return self._sample(index, latent, seeds)

    def _sample(self, index: Tensor, latent: Tensor, seeds: Tensor) -> GanSample:
        index = index.to(self.real.device)
        label = None if self.labels is None else self.labels[index]
        real = to_float(_rows(self.real, index), self.pixels)
        if self.flip:
            real = flipped(real, seeds.to(real.device))
        return GanSample(real, latent.to(real.device, floating(real)), seeds.to(real.device), label)

    def _infinite(self, what: str) -> InvalidType:
        return InvalidType(
            f"{what} needs a finite sum and latents='fresh' makes this source infinite: expected latents='paired' "
            "(--set source.latents=paired)"
        )

    def _next_set(self) -> None:
        self._redraws += 1
        self._fill()

    def _fill(self) -> None:
        """The finite latents and seeds: a function of (seed, number of redraws), so a checkpoint needs neither."""
        if self.latents == "paired" and self._filled != self._redraws:
            self._filled = self._redraws
            generator = generator_for(self.seed, "latents", self._redraws)
            self._latents = torch.randn(self.count, self.latent, generator=generator)
            self._seeds = torch.randint(1 << 62, (self.count,), generator=generator)

    def _partition_generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(seed_for(self.seed, "partition", self._partitions))


def floating(real: Tensor) -> torch.dtype:
    """The dtype of latents beside these data: theirs where it is a floating one."""
    return real.dtype if real.is_floating_point() else torch.get_default_dtype()


def flipped(images: Tensor, seeds: Tensor) -> Tensor:
    """Images (..., C, H, W) mirrored left to right with probability 1/2, by the coin of their seed (...)."""
    coins = counter_uniform(seeds.flatten(), (), "flip").reshape(seeds.shape) < 0.5
    return torch.where(coins[..., None, None, None], images.flip(-1), images)


def _rows(data: Tensor, index: Tensor) -> Tensor:
    """``data[index]``, for one list of indices by the shorter way."""
    return data.index_select(0, index) if index.ndim == 1 and index.dtype != torch.bool else data[index]
