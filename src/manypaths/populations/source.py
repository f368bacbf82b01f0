"""The samples of a population: each member's own source, stacked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue
from manypaths.sources.base import Index, IndexSource, Source
from manypaths.sources.sample import Sample


@dataclass(frozen=True)
class MemberSamples(Sample):
    """One sample per member, stacked: tensors (members, batch, ...). Its length is the batch's, per member."""

    kind: type[Sample]
    stacked: dict[str, Tensor]

    @classmethod
    def stack(cls, samples: Sequence[Sample]) -> MemberSamples:
        tensors = [sample.tensors() for sample in samples]
        return cls(type(samples[0]), {name: torch.stack([t[name] for t in tensors]) for name in tensors[0]})

    def tensors(self) -> dict[str, Tensor]:
        return self.stacked

    def member(self, i: int) -> Sample:
        """The sample of one member."""
        return self.kind(**{name: tensor[i] for name, tensor in self.stacked.items()})

    def _map(self, function: Callable[[Tensor], Tensor]) -> MemberSamples:
        return MemberSamples(self.kind, {name: function(t) for name, t in self.stacked.items()})

    def __len__(self) -> int:
        return next(iter(self.stacked.values())).shape[1]


class PopulationSource(Source):
    """The members' sources side by side; each draws exactly what it would draw alone.

    Sources of bare indices are drawn ahead in blocks, so that a thousand analytic games cost a slice and not a
    thousand calls.
    """

    BLOCK = 512

    def __init__(self, sources: Sequence[Source]):
        if not sources:
            raise InvalidValue("there are no sources: expected one per member")
        sizes = {source.size for source in sources}
        if len(sizes) > 1:
            raise InvalidValue(f"the members' sources have sizes {sorted(map(str, sizes))}: expected one size")
        self.sources = tuple(sources)
        self.size = sources[0].size
        self.redraws_by_traversal = any(source.redraws_by_traversal for source in sources)
        self._indices = all(type(source) is IndexSource for source in sources)
        self._alike = len({type(source) for source in sources}) == 1
        self._ahead = torch.empty(len(sources), 0, dtype=torch.int64)

    @classmethod
    def of(cls, make: Callable[[int], Source], seeds: Sequence[int] | int) -> PopulationSource:
        """The sources ``make(seed)`` for each of the seeds (or 0 .. n-1)."""
        return cls([make(seed) for seed in (range(seeds) if isinstance(seeds, int) else seeds)])

    def sample(self, n: int) -> MemberSamples:
        if not self._indices and self.size is None:
            return MemberSamples.stack([source.sample(n) for source in self.sources])
        if not self._indices:
            return self.take(torch.stack([source.indices(n) for source in self.sources]))
        if self._ahead.shape[1] < n:
            more = [source.sample(max(n, self.BLOCK)).tensors()["index"] for source in self.sources]
            self._ahead = torch.cat([self._ahead, torch.stack(more)], dim=1)
        drawn, self._ahead = self._ahead[:, :n], self._ahead[:, n:]
        return MemberSamples(Index, {"index": drawn})

    def all(self, chunk: int) -> Iterator[MemberSamples]:
        for parts in zip(*(source.all(chunk) for source in self.sources), strict=True):
            yield MemberSamples.stack(parts)

    def partition(self, n: int) -> list[Tensor]:
        """Each member's own partition; entry k is (members, n)."""
        return [torch.stack(parts) for parts in zip(*(source.partition(n) for source in self.sources), strict=True)]

    def pick(self, parts: list[Tensor], which: Tensor) -> Tensor:
        return torch.stack([parts[k][i] for i, k in enumerate(which.tolist())])

    def take(self, index: Tensor) -> MemberSamples:
        """``index`` is (members, n), or (n,) for the same indices in every member."""
        index = index.expand(len(self.sources), -1)
        if self._alike and (together := type(self.sources[0]).take_members(self.sources, index)):
            return MemberSamples(*together)
        return MemberSamples.stack([source.take(i) for source, i in zip(self.sources, index, strict=True)])

    def redraw(self) -> None:
        for source in self.sources:
            source.redraw()

    def settle(self, *, finite: bool) -> str | None:
        notes = [source.settle(finite=finite) for source in self.sources]
        self.size = self.sources[0].size
        return notes[0]

    def subset(self, members: Tensor) -> PopulationSource:
        """The same source objects: what they redraw is redrawn in the whole population."""
        return PopulationSource([self.sources[i] for i in members.nonzero().flatten().tolist()])

    def state_dict(self) -> dict[str, Any]:
        return {"members": [source.state_dict() for source in self.sources], "ahead": self._ahead.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for source, saved in zip(self.sources, state["members"], strict=True):
            source.load_state_dict(saved)
        self._ahead = state["ahead"].cpu().clone()

    def require_finite(self, what: str) -> None:
        if self.size is None:
            raise InvalidType(f"{what} needs a finite sum and the members' sources are infinite")
