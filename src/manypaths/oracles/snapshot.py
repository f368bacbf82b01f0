"""A snapshot, and the stored component gradients of its full pass, kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from manypaths.errors import InvalidValue
from manypaths.evaluation.side_by_side import SideBySide
from manypaths.games.base import Game
from manypaths.oracles.table import GradientTable, Storage, dtype_names, gib_per_row
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients, Point, copy_, present


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A point, the hidden forward state it was taken with, and the full gradient there."""

    point: Point
    buffers: list[Tensor]
    mean: dict[str, list[Tensor | None]]

    def overwrite(self, newer: Snapshot, members: Tensor) -> None:
        """Take over the rows of a population's ``members`` (a mask) from a snapshot of these alone."""
        for name, weights in self.point.items():
            for old, new in zip(
                [*weights, *present(self.mean[name])], [*newer.point[name], *present(newer.mean[name])], strict=True
            ):
                old[members] = new
        for old, new in zip(self.buffers, newer.buffers, strict=True):
            old[members] = new

    def stands_at(self, point: Point) -> bool:
        """Whether it is the snapshot of this very point, not of an equal one."""
        return all(a is b for name in self.point for a, b in zip(self.point[name], point[name], strict=True))


class StoredGradients:
    """F_{B_k}(w_S) for the first mini-batches B_k of a partition, as many as a budget has room for.

    What is kept of a full pass is rounded to the table's dtype *before* it enters the mean, so that the mean is that of
    the stored values and the estimate unbiased. Of a distributed game a row is this process's part. On a GPU the
    rows lie there while they take at most half of the memory that is free, else in pinned memory of the host.
    """

    def __init__(self, game: Game, batches: int, storage: Storage, budget: float):
        gib = gib_per_row(game, storage)
        self.batches, self.size = batches, min(batches, int(budget / gib))
        if self.size < 1:
            raise InvalidValue(f"budget is {budget:g} GiB and one mini-batch's gradients take {gib:.3g}: raise it")
        self.of: Snapshot | None = None
        """Whose stored component gradients these are; ``None`` until a pass is over."""
        self._game, self._gib = game, self.size * gib
        self._storage: Storage = storage
        self._table: GradientTable | None = None
        self._losses: list[dict[str, Tensor]] = []

    def describe(self) -> str:
        """What it takes, in words."""
        rest = "" if self.size == self.batches else ", the others are evaluated again"
        kind = dtype_names(self._game, self._storage)
        return f"the gradients of {self.size} of {self.batches} are stored, {self._gib:.3g} GiB at {kind}{rest}"

    def keep(self) -> Callable[[Gradients], None]:
        """What is shown the mini-batches' gradients one by one, in the order of the partition."""
        self.of, self._losses = None, []
        if self._table is None:
            self._table = GradientTable(self._game, self.size, self._storage, pinned=self._too_large())
        table, losses = self._table, self._losses
        table.forget()

        def keep(part: Gradients) -> None:
            number = len(losses)
            if number == self.size:
                return
            losses.append({name: part.losses[name] for name in part})
            for name in part:
                table.write(name, number, part[name])
                if self._storage != "game":
                    pairs = zip(part[name], table.read(name, number), strict=True)
                    rounded = [(g, row) for g, row in pairs if g is not None and row is not None]
                    copy_([g for g, _ in rounded], [row for _, row in rounded])

        return keep

    def standing(self, snapshot: Snapshot, chunks: Iterable[Sample]) -> StoredGradients:
        """These, brought back if they are not the snapshot's (it comes from a checkpoint)."""
        if self.of is not snapshot:
            self.again(chunks, snapshot)
        return self

    def again(self, chunks: Iterable[Sample], snapshot: Snapshot) -> None:
        """Bring them back: the same evaluations at the snapshot, equal bit for bit."""
        keep, game = self.keep(), self._game
        with game.at(snapshot.point, snapshot.buffers, borrow=True):
            parts = SideBySide.of(game).each(chunks, game.names())
            for _, (_, part) in zip(range(self.size), parts, strict=False):
                keep(part)
        self.of = snapshot

    def read(self, number: int, players: Iterable[str]) -> Gradients:
        """F_{B_k}(w_S) for some players, in the table's own memory and dtype: not to be written to."""
        assert self._table is not None
        losses = self._losses[number]
        return Gradients({name: self._table.read(name, number) for name in players}, losses).only(players)

    def copied(self, number: int, players: Iterable[str]) -> Gradients:
        """The same in memory of its own and in the dtype of the weights."""
        row = self.read(number, players)
        gradients = {
            name: [
                None if g is None else g.to(p.dtype, copy=True)
                for g, p in zip(row[name], self._game.parameters(name), strict=True)
            ]
            for name in row
        }
        return Gradients(gradients, {name: row.losses[name].clone() for name in row})

    def _too_large(self) -> bool:
        device = self._game.device
        return device.type == "cuda" and self._gib * 2**30 > torch.cuda.mem_get_info(device)[0] / 2
