"""PAGE: now and then a large batch, differences in between (Li et al. 2021), for games."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.oracles.base import Components, resolve_components
from manypaths.oracles.full_batch import Everything, component_batches, describe_components, full_gradient
from manypaths.oracles.partition import Partition
from manypaths.oracles.recursive import Previous, Recursive, combined
from manypaths.randomness import generator_for
from manypaths.sources.base import Source
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients


@dataclass(frozen=True)
class Large(Sample):
    """A large batch, or the whole sum."""

    sample: Sample

    def tensors(self) -> dict[str, Tensor]:
        return self.sample.tensors()

    def __len__(self) -> int:
        return len(self.sample)


@dataclass(eq=False)
class Page(Recursive):
    """d_t = F_{B'}(w_t) on a large batch B' with probability p, else d_{t-1} + F_B(w_t) - F_B(w_{t-1}).

    Li et al. 2021. The first estimate, and the first after a jump, is the large one. In expectation a draw costs
    p b' + 2 (1 - p) b evaluations. Given the past it is biased, by (1 - p) (d_{t-1} - F(w_{t-1})) in the mean over the
    coin. The coin is tossed at each draw, for all players. What the previous point is under extragradient, in turns and
    after a jump: ``Recursive``.

    Args:
        probability: p; by default b / (b + b'), which spends as much on large batches as on small ones.
        large: b', or the whole of a finite sum.
        components: what the finite sum runs over, as in ``SVRG``.
        on_jump: forget the past (``"refresh"``), or correct across the jump.
    """

    source: Source
    batch: fields.PositiveInt = 64
    probability: fields.Probability | None = None
    large: fields.PositiveInt | None = None
    components: Components = "auto"
    on_jump: Literal["refresh", "keep"] = "refresh"
    seed: int = 0

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()
        if self.large is None:
            self.source.require_finite("PAGE's large batch, without large=,")
        self._resolved: str | None = None
        self._first: tuple[int, Sample] | None = None
        self.partition = Partition(self.source, self.batch)
        self._coins = generator_for(self.seed, "page")

    @property
    def p(self) -> float:
        """The probability of a large batch."""
        if self.probability is not None:
            return self.probability
        return self.batch / (self.batch + (self.large or self.source.size or 1))

    def bind(self, game: Game) -> str | None:
        super().bind(game)
        if self.source.size is None:
            return None
        self._resolved = resolve_components(self.components, game, self.source, self.batch)
        if self._resolved == "batches" and self.large is not None:
            raise InvalidValue(
                f"large is {self.large} and the component functions are mini-batches of {self.batch}: expected no large"
            )
        return describe_components(self._resolved, self.source, self.batch, game)

    def draw(self) -> Sample:
        self.advance()
        u = float(torch.rand(1, generator=self._coins, dtype=torch.float64))
        if not self._past or u < self.p:
            return Large(self._beginning())
        if self._resolved == "batches":
            which = int(torch.randint(len(self.partition), (1,), generator=self._coins))
            return self.source.take(self.partition.parts()[which])
        return self.source.sample(self.batch)

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        names, keys = game.names(players), self._keys(game.names(players), moves_buffers)
        first = tuple(n for n in names if isinstance(sample, Large) or keys[n] not in self._past)
        rest, parts = tuple(name for name in names if name not in first), []
        if rest:
            parts.append(self.estimate(game, sample, rest, moves_buffers))
        if first:
            large, moves = sample.sample if isinstance(sample, Large) else self._beginning(), moves_buffers and not rest
            parts.append(self.anew(game, first, moves, lambda: self._large(game, large, first, moves)))
        gradients = {name: part[name] for part in parts for name in part}
        return Gradients(gradients, {name: part.losses[name] for part in parts for name in part})

    def plain(self, sample: Any) -> Sample | None:
        return None if isinstance(sample, Large) else sample

    def _beginning(self) -> Sample:
        """The large batch of a first estimate, one for all calls of a draw."""
        if self._first is None or self._first[0] != self.draws:
            whole = Everything(self.source.size or 0)
            self._first = self.draws, whole if self.large is None else self.source.sample(self.large)
        return self._first[1]

    def _large(self, game: Game, sample: Sample, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        if not isinstance(sample, Everything):
            self.count(names, len(sample))
            return game.gradients(sample, names, moves_buffers=moves_buffers)
        chunks = component_batches(self.source, self._resolved or "samples", self.batch, max(self.batch, 256))
        equal = self._resolved == "batches"
        mean, samples = full_gradient(game, chunks, names, equal=equal, moves_buffers=moves_buffers)
        self.count(names, samples)
        return mean

    def corrected(self, now: list[Tensor | None], then: list[Tensor | None], past: Previous) -> list[Tensor | None]:
        return combined((1.0, now), (1.0, past.vector), (-1.0, then))

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "page": self._coins.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._coins.set_state(state["page"])
