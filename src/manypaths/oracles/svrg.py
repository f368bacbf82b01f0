"""Stochastic variance-reduced gradients (Johnson and Zhang 2013), for games."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.base import Game, Sample
from manypaths.games.side_by_side import SideBySide
from manypaths.games.source import Source
from manypaths.games.vectors import Gradients, Point, add_, present
from manypaths.oracles.base import Oracle, Summands, settle_summands
from manypaths.oracles.cadence import Cadence, CadenceName
from manypaths.oracles.full import describe_summands, full_gradient, summand_batches
from manypaths.oracles.variance import Spread, variance_ratio
from manypaths.randomness import Coins


@dataclass(frozen=True)
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


@dataclass(eq=False)
class SVRG(Oracle):
    """d_B(w) = F_B(w) - F_B(w_S) + F(w_S), an unbiased estimate of F(w) with snapshot w_S (SVRE, equation 5).

    Both evaluations see the same sample, and the snapshot's uses the buffers (BatchNorm statistics, spectral-norm
    vectors) that were current when it was taken.

    Args:
        source: a finite sum.
        batch: samples per mini-batch B.
        refresh: how the age at which the snapshot is taken anew is chosen (see ``Cadence``).
        every: mean age at a refresh, in batches drawn; by default one pass over the sum.
        when: ``"helps"`` measures the variance ratio Var(d) / Var(F_B) of every player with ``probes`` fresh batches
            each ``check_every`` batches, and uses the plain mini-batch estimate for a player while its ratio is above
            1, at a lower cost; the probes are on the bill.
        summands: what the finite sum runs over; ``"auto"`` takes the mini-batches of a fixed partition where the game
            couples the samples of a batch.
        chunk: samples evaluated at once in a full pass over samples (memory only); the mini-batch size by default.
        on_jump: take a new snapshot when a rule moved the iterate by a jump (a lookahead sync), or keep the old one; a
            restart happens inside a refresh anyway.
    """

    source: Source
    batch: fields.PositiveInt = 64
    refresh: CadenceName = "geometric"
    every: fields.Positive | None = None
    when: Literal["always", "helps"] = "always"
    check_every: fields.PositiveInt = 50
    probes: fields.PositiveInt = 4
    summands: Summands = "auto"
    chunk: fields.PositiveInt | None = None
    on_jump: Literal["refresh", "keep"] = "refresh"
    seed: int = 0

    takes_snapshots: ClassVar[bool] = True
    serves_populations: ClassVar[bool] = True
    snapshot: Snapshot | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()
        self.source.require_finite("SVRG")
        assert self.source.size is not None
        if self.batch > self.source.size:
            raise InvalidValue(f"batch is {self.batch}: expected at most the {self.source.size} summands of the source")
        if self.when == "helps" and self.probes < 2:
            raise InvalidValue(f"probes is {self.probes}: expected at least 2, for a variance needs two draws")
        self._settled: str | None = None
        self._parts: list[Tensor] | None = None
        self._helps: dict[str, bool] = {}
        self._next_check: dict[str, int] = {}
        self._toss((self.seed,))

    def _toss(self, seeds: Sequence[int]) -> None:
        """Coins for each of the seeds: one, or those of a population's members."""
        parts = self.n_batches
        self._coins = Coins(seeds, "svrg", draw=lambda n, g: torch.randint(parts, (n,), generator=g))
        coins = Coins(seeds, "cadence")
        self.cadence = Cadence(self.refresh, self.every or parts, coins, members=len(seeds))

    @property
    def n_batches(self) -> int:
        """Mini-batches in one pass over the finite sum."""
        return max(1, (self.source.size or 0) // self.batch)

    @property
    def age(self) -> int:
        """Batches drawn since the snapshot was taken (of a population: since the oldest one)."""
        return int(self.cadence.drawn.max())

    def bind(self, game: Game) -> str | None:
        if game is not self.bound and game.seeds is not None:
            if self.when == "helps":
                raise InvalidType("when is 'helps', which is measured for one run at a time: expected 'always'")
            self._toss(game.seeds)
        super().bind(game)
        self._settled = settle_summands(self.summands, game, self.source, self.batch)
        return describe_summands(self._settled, self.source, self.batch)

    def draw(self) -> Sample:
        if self.snapshot is None and self.bound is not None:
            self.take_snapshot(self.bound)
        self.draws += 1
        self.cadence.advance()
        return self.summand()

    def summand(self) -> Sample:
        """A random mini-batch of the finite sum, drawn without counting it."""
        if self._settled is None:
            raise InvalidValue("this oracle is not bound to a game: call oracle.bind(game), or use Training")
        if self._settled == "samples":
            return self.source.sample(self.batch)
        return self.source.take(self.source.pick(self.parts(), self._coins.next()))

    def parts(self) -> list[Tensor]:
        """The fixed partition into mini-batches, as index sets."""
        if self._parts is None:
            self._parts = self.source.partition(self.batch)
        return self._parts

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        if self.snapshot is None:
            self.take_snapshot(game)
        names = game.names(players)
        if self.when == "helps":
            self._measure(game, [name for name in names if self.draws >= self._next_check.get(name, 0)])
        self.count(names, len(sample))
        reduced = tuple(name for name in names if self.reduces(name))
        self.count(reduced, len(sample))
        snapshot = self.snapshot
        if snapshot and reduced == names and (exact := game.difference_gradients(sample, snapshot.point, names)):
            return self._centred(exact, names)
        if not reduced or snapshot is None:
            return game.gradients(sample, names, moves_buffers=moves_buffers)
        now, then = SideBySide.of(game).here_and_there(
            sample, names, snapshot.point, snapshot.buffers, reduced, moves_buffers=moves_buffers
        )
        for name in reduced:
            add_(now[name], then[name], -1.0)
        return self._centred(game.combine(now), reduced)

    def at_snapshot(self, game: Game, sample: Any, players: Iterable[str] | None = None) -> Gradients:
        """F_B(w_S), the same mini-batch at the snapshot."""
        assert self.snapshot is not None
        with game.at(self.snapshot.point, self.snapshot.buffers):
            return game.gradients(sample, players)

    def reduces(self, player: str) -> bool:
        """Whether this player's estimate is the variance-reduced one at present (see ``when``)."""
        return self._helps.get(player, True)

    def _centred(self, difference: Gradients, players: tuple[str, ...]) -> Gradients:
        """F_B(w) - F_B(w_S), with F(w_S) added for these players."""
        assert self.snapshot is not None
        for name in players:
            add_(difference[name], self.snapshot.mean[name])
        return difference

    def due(self) -> Tensor:
        return self.cadence.due()

    def take_snapshot(self, game: Game, members: Tensor | None = None) -> None:
        """One full pass at the current iterate; the source's frozen randomness is drawn anew just before it."""
        if self._settled is None:
            self.bind(game)
        members = None if game.seeds is None or self.snapshot is None else members
        source = self.source
        here: Game = game
        if members is not None:
            here, source = here.subset(members), source.subset(members)
        if self.snapshot is not None:
            source.redraw()
        self._parts = None
        chunks = summand_batches(source, self._settled or "samples", self.batch, self.chunk or self.batch)
        mean, samples = full_gradient(here, chunks, equal=self._settled == "batches")
        self.count(mean, samples if members is None else samples * members)
        newer = Snapshot(here.point(), [b.clone() for b in here.buffers()], dict(mean))
        if members is None or self.snapshot is None:
            self.snapshot = newer
        else:
            self.snapshot.overwrite(newer, members)
        self.cadence.restart(members)

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        if self.on_jump == "refresh":
            self.take_snapshot(game, members)

    def _measure(self, game: Game, players: list[str]) -> None:
        """Decide for each of the players whether variance reduction helps here."""
        plain = {name: Spread() for name in players}
        reduced = {name: Spread() for name in players}
        for _ in range(self.probes if players else 0):
            sample = self.summand()
            now, then = game.gradients(sample, players), self.at_snapshot(game, sample, players)
            self.count(players, 2 * len(sample))
            for name in players:
                plain[name].add(now[name])
                add_(now[name], then[name], -1.0)
                reduced[name].add(now[name])
        for name in players:
            self._helps[name] = variance_ratio(reduced[name], plain[name]) <= 1.0
            self._next_check[name] = self.draws + self.check_every

    def state_dict(self) -> dict[str, Any]:
        shot = self.snapshot
        return {
            **super().state_dict(),
            "snapshot": None
            if shot is None
            else {"point": dict(shot.point), "buffers": shot.buffers, "mean": shot.mean},
            "cadence": self.cadence.state_dict(),
            "coins": self._coins.state_dict(),
            "helps": dict(self._helps),
            "next_check": dict(self._next_check),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        shot = state["snapshot"]
        self.snapshot = None if shot is None else Snapshot(shot["point"], shot["buffers"], shot["mean"])
        self.cadence.load_state_dict(state["cadence"])
        self._coins.load_state_dict(state["coins"])
        self._helps, self._next_check = dict(state["helps"]), dict(state["next_check"])
        self._parts = None
