"""Variance reduction by memory: SAGA (Defazio, Bach and Lacoste-Julien 2014), and SVRG that remembers, for games."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.games.base import Game, Sample
from manypaths.games.source import Index, Source
from manypaths.games.vectors import Gradients, Point
from manypaths.oracles.base import Oracle, Summands, settle_summands
from manypaths.oracles.cadence import Cadence, CadenceName
from manypaths.oracles.full import describe_summands
from manypaths.oracles.table import GradientTable, Storage, check_budget
from manypaths.randomness import Coins, generator_for


@dataclass(eq=False)
class StoredGradients(Oracle):
    """d_B(w) = 1/b sum_{i in B} (F_i(w) - T_i) + 1/N sum_j T_j, with a table T of one stored gradient per summand.

    It costs one evaluation per sample where SVRG costs two, and memory. The table is filled by one full pass, each
    summand evaluated by itself with the buffers of that moment, and so are the summands of a batch, since each has a
    row: for large batches ``summands="batches"`` makes a mini-batch of the fixed partition one summand, one evaluation
    and one row. The mean is that of the stored, rounded entries, so the estimate is unbiased at any ``dtype``.

    ``update="visit"``: SAGA (for games, Palaniappan and Bach 2016). T_i becomes F_i(w), the last evaluation before the
    next draw, for the players that were asked for. Such a table is the memory of N different points and no
    computation brings it back: it is part of ``state_dict``, which holds a second copy of it.

    ``update="snapshot"``: T is filled anew at a refresh, as SVRG's snapshot is, and otherwise left alone. It is a
    function of the snapshot's point and buffers: those are in ``state_dict``, the table is not, and a resumed run
    fills it again, equal bit for bit and not on the bill.

    Args:
        source: a finite sum.
        batch: summands per draw, or samples per summand where the summands are mini-batches.
        update: when the table changes.
        refresh, every: when a snapshot is taken (see ``Cadence``; ``"geometric"`` with a mean of one pass by default);
            refused with ``"visit"``.
        budget: largest table in GiB; a larger one is refused with its size before it is allocated.
        dtype: of the table; ``"game"`` is that of the weights.
        summands: what the finite sum runs over, as in ``SVRG``.
        on_jump: fill the table anew when a rule moved the iterate by a jump, or keep it.
    """

    source: Source
    batch: fields.PositiveInt = 64
    update: Literal["visit", "snapshot"] = "visit"
    refresh: CadenceName | None = None
    every: fields.Positive | None = None
    budget: fields.Positive = 4.0
    dtype: Storage = "game"
    summands: Summands = "auto"
    on_jump: Literal["refresh", "keep"] = "refresh"
    seed: int = 0

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()
        self.source.require_finite("a table of gradients")
        self._samples = self.source.size or 0
        if self.batch > self._samples:
            raise InvalidValue(f"batch is {self.batch}: expected at most the {self._samples} summands of the source")
        for name in ("refresh", "every"):
            if self.update == "visit" and getattr(self, name) is not None:
                raise InvalidValue(f"{name} is {getattr(self, name)!r}: expected none with update='visit'")
        self._settled: str | None = None
        self._parts: list[Tensor] | None = None
        self._table: GradientTable | None = None
        self._place: tuple[Point, list[Tensor]] | None = None
        self._visited: dict[str, list[tuple[int, Tensor]]] = {}
        self._coins = generator_for(self.seed, "stored-gradients")
        every = self.every or self._samples // self.batch
        self.cadence = Cadence(self.refresh or "geometric", every, Coins((self.seed,), "cadence"))

    @property
    def takes_snapshots(self) -> bool:  # type: ignore[override]
        return self.update == "snapshot"

    @property
    def size(self) -> int:
        """The number of summands N, the rows of the table."""
        return self._samples // self.batch if self._settled == "batches" else self._samples

    def bind(self, game: Game) -> str | None:
        super().bind(game)
        self._settled = settle_summands(self.summands, game, self.source, self.batch)
        memory = check_budget(game, self.size, self.dtype, self.budget, type(self).__name__)
        about = describe_summands(self._settled, self.source, self.batch)
        return memory if about is None else f"{about}; {memory}"

    def draw(self) -> Index:
        if self._settled is None or self.bound is None:
            raise InvalidValue("this oracle is not bound to a game: call oracle.bind(game), or use Training")
        table = self._ready(self.bound)
        for name, rows in self._visited.items():  # not earlier: one sample at two points must meet one table
            for number, row in rows:
                table.write(name, number, row)
        self._visited = {}
        self.draws += 1
        self.cadence.advance()
        if self._settled == "samples":
            return Index(self.source.indices(self.batch))
        return Index(torch.randint(self.size, (1,), generator=self._coins))

    def outcomes(self) -> Iterator[tuple[float, Index]]:
        for number in range(self.size):
            yield 1.0 / self.size, Index(torch.tensor([number]))

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        names, table = game.names(players), self._ready(game)
        numbers, counts = sample.index.unique(return_counts=True)
        shares = (counts / counts.sum(dtype=torch.float64)).tolist()
        found, losses = {}, {}
        visited: dict[str, list[tuple[int, Tensor]]] = {name: [] for name in names}
        for number, share in zip(numbers.tolist(), shares, strict=True):
            last = number == int(numbers[-1])  # moved buffers must not be seen by the others of the batch
            summand = self._take(number)
            now = game.gradients(summand, names, moves_buffers=moves_buffers and last)
            self.count(names, len(summand))
            for name in names:
                row = table.pack(name, now[name])
                visited[name].append((number, row))
                difference = share * (row - table.rows[name][number].to(row.dtype))
                found[name] = found[name] + difference if name in found else difference
                losses[name] = losses.get(name, 0.0) + share * now.losses[name]
        if self.update == "visit":
            self._visited.update(visited)
        mean = {name: table.mean[name].to(found[name].dtype) for name in names}
        return Gradients({name: table.unpack(name, found[name] + mean[name]) for name in names}, losses)

    def due(self) -> Tensor:
        return self.cadence.due() if self.update == "snapshot" else super().due()

    def take_snapshot(self, game: Game, members: Tensor | None = None) -> None:
        """Fill the table at the current iterate; the source's frozen randomness is drawn anew just before it."""
        if self._settled is None:
            self.bind(game)
        if self._table is not None or self._place is not None:
            self.source.redraw()
        self._parts, self._visited = None, {}
        self.count(game.players, self._fill(game))
        if self.update == "snapshot":
            self._place = (game.point(), [b.clone() for b in game.buffers()])
        self.cadence.restart()

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        if self.on_jump == "refresh":
            self.take_snapshot(game)

    def state_dict(self) -> dict[str, Any]:
        state = {"cadence": self.cadence.state_dict(), "coins": self._coins.get_state(), "visited": dict(self._visited)}
        if self.update == "visit":
            kept = None if self._table is None else self._table.state_dict()
            return {**super().state_dict(), **state, "table": kept}
        place = None if self._place is None else {"point": dict(self._place[0]), "buffers": self._place[1]}
        return {**super().state_dict(), **state, "snapshot": place}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.cadence.load_state_dict(state["cadence"])
        self._coins.set_state(state["coins"])
        self._visited, self._parts = dict(state["visited"]), None
        if self.update == "visit":
            self._load_table(state["table"])
            return
        place = state["snapshot"]
        if place is None or not self._stands_at(place["point"]):
            self._table = None
        self._place = None if place is None else (place["point"], place["buffers"])

    # ---- how ------------------------------------------------------------------------------------------------------

    def _ready(self, game: Game) -> GradientTable:
        """The table; filled for the first time, or again after a checkpoint."""
        if self._table is None:
            if self._place is None:
                self.take_snapshot(game)
            else:
                with game.at(*self._place):
                    self._fill(game)
        assert self._table is not None
        return self._table

    def _fill(self, game: Game) -> int:
        """One pass over the summands, one at a time; how many samples that were."""
        if self._table is None:
            self._table = GradientTable(game, self.size, self.dtype)
        self._table.clear()
        samples = 0
        for number in range(self.size):
            summand = self._take(number)
            gradients = game.gradients(summand)
            samples += len(summand)
            for name in gradients:
                self._table.write(name, number, self._table.pack(name, gradients[name]))
        return samples

    def _take(self, number: int) -> Sample:
        if self._settled == "samples":
            return self.source.take(torch.tensor([number]))
        if self._parts is None:
            self._parts = self.source.partition(self.batch)
        return self.source.take(self._parts[number])

    def _load_table(self, state: dict[str, Any] | None) -> None:
        if state is None:
            self._table = None
            return
        if self.bound is None:
            raise InvalidValue("this oracle is not bound to a game: call oracle.bind(game) before loading its state")
        self._table = self._table or GradientTable(self.bound, self.size, self.dtype)
        self._table.load_state_dict(state)

    def _stands_at(self, point: Point) -> bool:
        """Whether the table was filled at this very snapshot (not an equal one): then it need not be filled again."""
        here = None if self._place is None else self._place[0]
        return here is not None and all(a is b for n in here for a, b in zip(here[n], point[n], strict=True))
