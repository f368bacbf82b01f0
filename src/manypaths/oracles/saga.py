"""Variance reduction by memory: SAGA (Defazio, Bach and Lacoste-Julien 2014), for games."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.oracles.base import Components, Oracle, resolve_components
from manypaths.oracles.full_batch import describe_components
from manypaths.oracles.partition import Partition
from manypaths.oracles.table import GradientTable, Storage, dtype_names, gib_per_row, row_dtypes
from manypaths.randomness import generator_for
from manypaths.sources.base import Index, Source
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients, add_, copied

Visit = tuple[int, "list[Tensor | None]"]


@dataclass(eq=False)
class SAGA(Oracle):
    """d_B(w) = 1/b sum_{i in B} (F_i(w) - T_i) + 1/N sum_j T_j, with a table T of one stored gradient per component
    function.

    For games: Palaniappan and Bach 2016. T_i becomes F_i(w), the last evaluation before the next draw, for the players
    that were asked for. It costs one evaluation per sample where SVRG costs two, and memory. The table is filled by one
    full pass, each component function evaluated by itself, and so are the component functions of a batch, since each
    has a row: for large batches ``components="batches"`` makes a mini-batch of the fixed partition one component
    function, one evaluation and one row. The mean is that of the stored, rounded entries, so the estimate is unbiased
    at any ``dtype``.

    The table is the memory of N different points and no computation brings it back: it is part of ``state_dict``,
    which holds a second copy of it. (``SVRG(store=...)`` stores the gradients at one point.)

    Args:
        source: a finite sum.
        batch: component functions per draw, or samples per component function where the component functions are
            mini-batches.
        budget: largest table in GiB; a larger one is refused with its size before it is allocated.
        dtype: of the table; ``"game"`` is that of the weights.
        components: what the finite sum runs over, as in ``SVRG``.
        on_jump: fill the table anew when a rule moved the iterate by a jump, or keep it.
    """

    needs_finite_sum: ClassVar[bool] = True

    source: Source
    batch: fields.PositiveInt = 64
    budget: fields.Positive = 4.0
    dtype: Storage = "game"
    components: Components = "auto"
    on_jump: Literal["refresh", "keep"] = "refresh"
    seed: int = 0

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()
        self.source.require_finite("a table of gradients")
        self._samples = self.source.size or 0
        if self.batch > self._samples:
            raise InvalidValue(
                f"batch is {self.batch}: expected at most the {self._samples} component functions of the source"
            )
        self._resolved: str | None = None
        self.partition = Partition(self.source, self.batch)
        self._table: _Memory | None = None
        self._visited: dict[str, list[Visit]] = {}
        self._coins = generator_for(self.seed, "saga")

    @property
    def size(self) -> int:
        """The number of component functions N, the rows of the table."""
        return self._samples // self.batch if self._resolved == "batches" else self._samples

    def bind(self, game: Game) -> str | None:
        super().bind(game)
        self._resolved = resolve_components(self.components, game, self.source, self.batch)
        gib = self.size * gib_per_row(game, self.dtype)
        what = f"{gib:.3g} GiB for {self.size} component functions at {dtype_names(game, self.dtype)}"
        if gib > self.budget:
            ways = "raise it, or take dtype='bfloat16' or batches"
            raise InvalidValue(f"SAGA needs {what}, budget is {self.budget:g}: {ways}")
        memory = f"the table of gradients takes {what}"
        about = describe_components(self._resolved, self.source, self.batch, game)
        return memory if about is None else f"{about}; {memory}"

    def draw(self) -> Index:
        if self._resolved is None or self.bound is None:
            raise InvalidValue("this oracle is not bound to a game: call oracle.bind(game), or use Training")
        table = self._ready(self.bound)
        for name, visits in self._visited.items():  # not earlier: one sample at two points must meet one table
            for number, gradients in visits:
                table.write(name, number, gradients)
        self._visited = {}
        self.draws += 1
        if self._resolved == "samples":
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
        found: dict[str, list[Tensor | None]] = {name: [None] * len(game.parameters(name)) for name in names}
        losses: dict[str, Tensor] = {}
        visited: dict[str, list[Visit]] = {name: [] for name in names}
        for number, share in zip(numbers.tolist(), shares, strict=True):
            last = number == int(numbers[-1])  # moved buffers must not be seen by the others of the batch
            component = self._take(number)
            now = game.gradients(component, names, moves_buffers=moves_buffers and last)
            self.count(names, len(component))
            for name in names:
                visited[name].append((number, now[name]))
                add_(found[name], now[name], share)
                add_(found[name], table.read(name, number), -share)
                losses[name] = losses.get(name, 0.0) + share * now.losses[name]
        self._visited.update(visited)
        for name in names:
            add_(found[name], table.means(name))
        return Gradients(found, losses)

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        """Fill the table at the current iterate; the source's frozen randomness is drawn anew just before it."""
        if self.on_jump == "refresh":
            if self._table is not None:
                self.source.redraw()
            self.partition.forget()
            self._visited = {}
            self._fill(game)

    def plain(self, sample: Any) -> Sample | None:
        index = sample.index
        return self.source.take(index) if self._resolved == "samples" else self._take(int(index))

    def discard(self) -> None:
        self._visited = {}

    def state_dict(self) -> dict[str, Any]:
        kept = None if self._table is None else self._table.state_dict()
        return {
            **super().state_dict(),
            "coins": self._coins.get_state(),
            "visited": dict(self._visited),
            "table": kept,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._coins.set_state(state["coins"])
        self._visited = copied(state["visited"])
        self.partition.forget()
        if state["table"] is None:
            self._table = None
            return
        if self.bound is None:
            raise InvalidValue("this oracle is not bound to a game: call oracle.bind(game) before loading its state")
        self._table = self._table or _Memory(self.bound, self.size, self.dtype)
        self._table.load_state_dict(state["table"])

    # ---- how ------------------------------------------------------------------------------------------------------

    def _ready(self, game: Game) -> _Memory:
        return self._table or self._fill(game)

    def _fill(self, game: Game) -> _Memory:
        """One pass over the component functions at the current iterate, one at a time."""
        if self._resolved is None:
            self.bind(game)
        self._table = table = self._table or _Memory(game, self.size, self.dtype)
        table.forget()
        for number in range(self.size):
            component = self._take(number)
            gradients = game.gradients(component)
            self.count(gradients, len(component))
            for name in gradients:
                table.write(name, number, gradients[name])
        return table

    def _take(self, number: int) -> Sample:
        if self._resolved == "samples":
            return self.source.take(torch.tensor([number]))
        return self.partition.take(number)


class _Memory(GradientTable):
    """A table that changes row by row, and the mean (P,) of its rounded rows.

    The mean is kept in float64 (complex128) and moved with every row that is written, so a million writes do not wear
    it out.
    """

    def __init__(self, game: Game, size: int, storage: Storage):
        self._weights = {name: game.parameters(name) for name in game.players}
        dtypes = {name: torch.promote_types(d, torch.float64) for name, d in row_dtypes(game, storage).items()}
        self.mean = {
            name: torch.zeros(sum(p.numel() for p in weights), dtype=dtypes[name], device=game.device)
            for name, weights in self._weights.items()
        }
        super().__init__(game, size, storage)

    def forget(self) -> None:
        super().forget()
        for name, rows in self.rows.items():
            rows.zero_()
            self.mean[name].zero_()

    def write(self, player: str, number: int, gradients: Sequence[Tensor | None]) -> None:
        wide = self.mean[player].dtype
        before = self.rows[player][number].to(wide, copy=True)
        super().write(player, number, gradients)
        self.mean[player] += (self.rows[player][number].to(wide) - before) / len(self)

    def means(self, player: str) -> list[Tensor | None]:
        """The mean row, in the dtypes of the weights."""
        views = self.views(player, self.mean[player])
        return [None if v is None else v.to(p.dtype) for v, p in zip(views, self._weights[player], strict=True)]

    def state_dict(self) -> dict[str, Any]:
        copies = {key: {n: t.clone() for n, t in getattr(self, key).items()} for key in ("rows", "mean")}
        return {**copies, "exists": dict(self._exists)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, rows in self.rows.items():
            rows.copy_(state["rows"][name])
            self.mean[name].copy_(state["mean"][name])
        self._exists = dict(state["exists"])
