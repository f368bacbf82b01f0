"""Where samples come from: infinite streams and finite sums."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue
from manypaths.fields import check_arguments
from manypaths.randomness import generator_for
from manypaths.sources.order import Order, OrderName
from manypaths.sources.sample import Sample


class Source(ABC):
    """A stream of samples that owns its generator.

    ``size`` is the number of component functions of the finite sum, ``None`` for an infinite stream.
    """

    size: int | None = None
    notes: tuple[str, ...] = ()
    """What was decided about the data on the user's behalf, in words."""

    redraws_by_traversal: bool = False
    """Whether it redraws by itself, after as many draws of single component functions as there are."""

    @abstractmethod
    def sample(self, n: int) -> Sample:
        """The next ``n`` component functions, drawn at random."""

    def all(self, chunk: int) -> Iterator[Sample]:
        """Visit the finite sum once, in a fixed order, ``chunk`` component functions at a time."""
        raise self._infinite("a full pass")

    def partition(self, n: int) -> list[Tensor]:
        """The fixed mini-batches of ``n`` samples of a game that couples the samples of a batch (as index sets)."""
        raise self._infinite("a partition into mini-batches")

    def take(self, index: Tensor) -> Sample:
        """The component functions of the given indices."""
        raise self._infinite("access by index")

    def pick(self, parts: list[Tensor], which: Tensor) -> Tensor:
        """The indices of one mini-batch of a partition; ``which`` is (1,), or (m,) in a population."""
        return parts[int(which)]

    @classmethod
    def take_members(cls, sources: Sequence[Any], index: Tensor) -> tuple[type[Sample], dict[str, Tensor]] | None:
        """What many sources of this class ``take`` at their own indices (m, n), stacked, where that is cheaper
        together; else ``None``."""
        return None

    def subset(self, members: Tensor) -> Source:
        """The sources of the ``members`` (a mask) of a population, as a source of their own."""
        raise InvalidType(f"{type(self).__name__} is one source: only a PopulationSource has members")

    def indices(self, n: int) -> Tensor:
        """The numbers of the next ``n`` component functions, for those who keep something per component function."""
        raise self._infinite("access by index")

    def redraw(self) -> None:
        """Draw the randomness that is frozen into the finite sum anew (latents, noise, partition).

        Called by a snapshot oracle inside its refresh and nowhere else: anywhere else would change the sum under a
        living snapshot.
        """

    @contextlib.contextmanager
    def rewound(self) -> Iterator[None]:
        """Whatever is drawn inside is drawn again afterwards: measurements leave no trace."""
        state = self.state_dict()
        try:
            yield
        finally:
            self.load_state_dict(state)

    @abstractmethod
    def state_dict(self) -> dict[str, Any]: ...

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def settle(self, *, finite: bool) -> str | None:
        """Decide what was left open, now that it is known whether the oracle needs a ``finite`` sum.

        ``Training`` calls it at construction; what a user should know about it, in words.
        """
        return None

    def require_finite(self, what: str) -> None:
        """Refuse an infinite source in words."""
        if self.size is None:
            raise self._infinite(what)

    def _infinite(self, what: str) -> InvalidType:
        return InvalidType(
            f"{what} needs a finite sum and {type(self).__name__} is infinite: "
            "use PairedSource.from_dataset(data, latent=...), which pairs data and latents"
        )


class FiniteSource(Source):
    """A finite sum with access by index; subclasses set ``size``, ``seed`` and write ``take``."""

    size: int  # type: ignore[assignment]
    seed: int

    @property
    def generator(self) -> torch.Generator:
        if not hasattr(self, "_generator"):
            self._generator = generator_for(self.seed, "source")
        return self._generator

    def sample(self, n: int) -> Sample:
        """``n`` independent component functions, with replacement: the sampling under which SVRG is unbiased."""
        return self.take(self.indices(n))

    def indices(self, n: int) -> Tensor:
        return torch.randint(self.size, (n,), generator=self.generator)

    def all(self, chunk: int) -> Iterator[Sample]:
        for start in range(0, self.size, chunk):
            yield self.take(torch.arange(start, min(start + chunk, self.size)))

    def partition(self, n: int) -> list[Tensor]:
        if n > self.size:
            raise InvalidValue(f"batch is {n}: expected at most the {self.size} component functions of the source")
        if n == 1:
            return list(torch.arange(self.size)[:, None])  # mini-batch i is component function i
        order = torch.randperm(self.size, generator=self._partition_generator())
        return list(order[: self.size - self.size % n].reshape(-1, n))

    def _partition_generator(self) -> torch.Generator:
        return generator_for(self.seed, "partition")

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])


@dataclass(frozen=True)
class Index(Sample):
    """Which component functions: all the randomness of an analytic game."""

    index: Tensor


class IndexSource(FiniteSource):
    """Indices 0 .. size-1 of an analytic game's component functions, in the given ``order`` (``Order``)."""

    def __init__(self, size: int, *, order: OrderName = "independent", seed: int = 0):
        check_arguments(IndexSource, locals())
        self.size, self.seed, self.order = size, seed, order
        self._ordered = Order(order, size)

    def indices(self, n: int) -> Tensor:
        return self._ordered.next(n, self.generator)

    def take(self, index: Tensor) -> Index:
        return Index(index)

    def state_dict(self) -> dict[str, Any]:
        ahead = {} if self.order == "independent" else {"order": self._ordered.ahead}
        return {**super().state_dict(), **ahead}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        ahead = state.get("order")
        self._ordered.ahead = None if ahead is None else ahead.cpu().clone()


class FunctionSource(Source):
    """An infinite source from a function ``draw(n, generator) -> Sample``."""

    def __init__(self, draw: Callable[[int, torch.Generator], Sample], *, seed: int = 0):
        self._draw, self.generator = draw, generator_for(seed, "source")

    def sample(self, n: int) -> Sample:
        return self._draw(n, self.generator)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])


def chunks_of(parts: Iterable[Tensor], source: Source) -> Iterator[Sample]:
    """The mini-batches of a partition, one after another."""
    for index in parts:
        yield source.take(index)
