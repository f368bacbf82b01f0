"""Stochastic variance-reduced gradients (Johnson and Zhang 2013), for games."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.evaluation.side_by_side import SideBySide
from manypaths.former_names import SNAPSHOT_COINS
from manypaths.games.base import Game
from manypaths.games.capabilities import Stacked, combine, difference_gradients, partial_gradients
from manypaths.oracles.base import Components, Oracle, resolve_components
from manypaths.oracles.coefficient import Coefficient, Grain
from manypaths.oracles.full_batch import component_batches, describe_components, full_gradient
from manypaths.oracles.partition import Partition
from manypaths.oracles.snapshot import Snapshot, StoredGradients
from manypaths.oracles.snapshot_schedule import ScheduleName, SnapshotSchedule
from manypaths.oracles.svrg_checks import check_settings, check_stacked
from manypaths.oracles.table import Storage
from manypaths.oracles.variance_watch import VarianceWatch
from manypaths.randomness import Coins
from manypaths.sources.base import Source
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients, add_, copied


@dataclass(eq=False)
class SVRG(Oracle):
    """d_B(w) = F_B(w) - alpha (F_B(w_S) - F(w_S)), an unbiased estimate of F(w) with snapshot w_S and alpha = 1 (SVRE,
    equation 5) or another coefficient.

    Both evaluations see the same sample, and the snapshot's uses the buffers (BatchNorm statistics, spectral-norm
    vectors) that were current when it was taken.

    With ``store`` the component functions are the mini-batches of a fixed partition and F_B(w_S) is read instead of
    evaluated: one evaluation instead of two, and the same to the bit in the dtype of the weights (``StoredGradients``).
    A resumed run evaluates the table again, not counted; a sample from elsewhere is evaluated at both points.

    Args:
        source: a finite sum.
        batch: samples per mini-batch B.
        schedule: how the age at which the snapshot is taken anew is chosen (see ``SnapshotSchedule``). ``"adaptive"``:
            when the variance ratio Var(d) / Var(F_B) of a player is found above ``threshold``.
        every: mean age at a refresh, in batches drawn; by default one pass over the sum. ``"adaptive"``: the largest
            age, by default none.
        coefficient: alpha: a number, ``"optimal"``, estimated from earlier batches, or ``"linear"``, the published
            decay (``Coefficient``; Yin et al. 2025).
        grain: of ``"optimal"``: one alpha for each ``"player"``, or for each ``"tensor"`` of its weights.
        start, over: of ``"linear"``: alpha at first (0.75), and the batches drawn until it is 0.
        when: ``"helps"`` takes the coefficient 0, the plain mini-batch estimate at its lower cost, for a player whose
            variance ratio was found above 1, until it is measured again or the snapshot is taken anew.
        check_every, probes: the ratio is measured with so many fresh batches each ``check_every`` batches drawn, by
            ``"adaptive"`` and by ``"helps"``; they are counted.
        threshold: of ``"adaptive"``; the default is where twice the batch would do as much as the two evaluations of d.
        components: what the finite sum runs over; ``"auto"`` takes the mini-batches of a fixed partition where the game
            couples the samples of a batch. ``"mixed"``: mini-batches of ``batch`` samples drawn at random and a full
            pass in batches of ``chunk``, also where the game couples the samples, as in the SVRE authors' MNIST code
            (50 and 500); the two are then fields of different games, and the estimate is biased by their difference.
        chunk: samples evaluated at once in a full pass over samples (memory only, but for ``"mixed"``); the mini-batch
            size by default.
        on_jump: take a new snapshot when a rule moved the iterate by a jump (a lookahead sync), or keep the old one; a
            restart happens inside a refresh anyway.
        store: the dtype in which F_B(w_S) is kept for every mini-batch B; ``"game"`` is that of the weights.
        budget: largest table, in GiB; the mini-batches that do not fit are evaluated at both points.
    """

    source: Source
    batch: fields.PositiveInt = 64
    schedule: ScheduleName = "geometric"
    every: fields.Positive | None = None
    when: Literal["always", "helps"] = "always"
    check_every: fields.PositiveInt = 50
    probes: fields.PositiveInt = 4
    threshold: fields.Positive = 0.5
    components: Components | Literal["mixed"] = "auto"
    chunk: fields.PositiveInt | None = None
    on_jump: Literal["refresh", "keep"] = "refresh"
    store: Literal["none"] | Storage = "none"
    budget: fields.Positive = 4.0
    seed: int = 0
    coefficient: fields.NonNegative | Literal["optimal", "linear"] = 1.0
    grain: Grain = "player"
    start: fields.Positive | None = None
    over: fields.PositiveInt | None = None

    takes_snapshots: ClassVar[bool] = True
    serves_populations: ClassVar[bool] = True
    needs_finite_sum: ClassVar[bool] = True
    snapshot: Snapshot | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()
        check_settings(self)
        self.alpha = Coefficient(self.coefficient, self.grain, self.start, self.over)
        self._resolved: str | None = None
        self._stored_gradients: StoredGradients | None = None
        self.partition = Partition(self.source, self.batch)
        self.watch = VarianceWatch(self.check_every, self.probes)
        self._toss((self.seed,))

    def _toss(self, seeds: Sequence[int]) -> None:
        """Coins for each of the seeds: one, or those of a population's members."""
        number = self.n_batches
        self._coins = Coins(seeds, "svrg", draw=lambda n, g: torch.randint(number, (n,), generator=g))
        coins = Coins(seeds, SNAPSHOT_COINS)
        every = self.every or (math.inf if self.schedule == "adaptive" else number)
        self.timer = SnapshotSchedule(self.schedule, every, coins, members=len(seeds))

    @property
    def refreshes_on_jump(self) -> bool:  # type: ignore[override]
        return self.on_jump == "refresh"

    @property
    def measures(self) -> bool:
        """Whether the variance ratio decides anything."""
        return self.when == "helps" or self.schedule == "adaptive"

    @property
    def n_batches(self) -> int:
        """Mini-batches in one pass over the finite sum."""
        return len(self.partition)

    @property
    def age(self) -> int:
        """Batches drawn since the snapshot was taken (of a population: since the oldest one)."""
        return int(self.timer.drawn.max())

    def bind(self, game: Game) -> str | None:
        if game is not self.bound and isinstance(game, Stacked):
            check_stacked(self)
            self._toss(game.seeds)
        super().bind(game)
        components = self.components if self.store == "none" else "batches"
        mixed = components == "mixed"
        self._resolved = "samples" if mixed else resolve_components(components, game, self.source, self.batch)
        if mixed and game.couples_samples:
            return (
                f"the full pass is in batches of {self.chunk or self.batch}, the estimate is of batches of {self.batch}"
            )
        note = describe_components(self._resolved, self.source, self.batch, game)
        if self.store == "none":
            return note
        self._stored_gradients = StoredGradients(game, self.n_batches, self.store, self.budget)
        return f"{note}; {self._stored_gradients.describe()}"

    def draw(self) -> Sample:
        if self.snapshot is None and self.bound is not None:
            self.take_snapshot(self.bound)
        self.draws += 1
        self.timer.advance()
        self.alpha.advance()
        return self.component()

    def component(self) -> Sample:
        """A random mini-batch of the finite sum, drawn without counting it."""
        if self._resolved is None:
            raise InvalidValue("this oracle is not bound to a game: call oracle.bind(game), or use Training")
        if self._resolved == "samples":
            return self.source.sample(self.batch)
        which = self._coins.next()
        if self.store != "none":
            return self.partition.take(int(which))
        return self.source.take(self.source.pick(self.partition.parts(), which))

    def outcomes(self) -> Iterator[tuple[float, Any]]:
        if self.store == "none":
            return super().outcomes()
        return ((1.0 / self.n_batches, self.partition.take(number)) for number in range(self.n_batches))

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        if self.snapshot is None:
            self.take_snapshot(game)
        names = game.names(players)
        if self.measures:
            self.watch.measure(self, game, self.watch.late(names, self.draws), self.draws)
        self.count(names, len(sample))
        reduced, snapshot = tuple(name for name in names if self.reduces(name)), self.snapshot
        if not reduced or snapshot is None:
            return game.gradients(sample, names, moves_buffers=moves_buffers)
        if (row := self._row(sample)) is not None:
            now = partial_gradients(game, sample, names, moves_buffers=moves_buffers)
            then = self._stored().copied(row, reduced) if self.alpha.learns else self._stored().read(row, reduced)
        else:
            self.count(reduced, len(sample))
            whole = reduced == names and self.coefficient == 1.0
            if whole and (exact := difference_gradients(game, sample, snapshot.point, names)):
                return self._centred(exact, names)
            now, then = SideBySide.of(game).here_and_there(
                sample, names, snapshot.point, snapshot.buffers, reduced, moves_buffers=moves_buffers
            )
        if self.alpha.learns:
            now, then = combine(game, now), combine(game, then)
            self.alpha.weigh_(now, then, snapshot.mean, reduced, stacked=isinstance(game, Stacked))
            return now
        for name in reduced:
            add_(now[name], then[name], -self.alpha.number)
        return self._centred(combine(game, now), reduced)

    def at_snapshot(self, game: Game, sample: Any, players: Iterable[str] | None = None) -> Gradients:
        """F_B(w_S), the same mini-batch at the snapshot."""
        assert self.snapshot is not None
        if (row := self._row(sample)) is not None:
            return combine(game, self._stored().copied(row, game.names(players)))
        with game.at(self.snapshot.point, self.snapshot.buffers, borrow=True):
            return game.gradients(sample, players)

    def reduces(self, player: str) -> bool:
        """Whether this player's estimate is the variance-reduced one at present (see ``when``)."""
        helps = self.when == "always" or self.watch.ratios.get(player, 0.0) <= 1.0
        return helps and not self.alpha.over_for_good

    def _row(self, sample: Any) -> int | None:
        """Where F_B(w_S) is stored, if it is."""
        rows = 0 if self._stored_gradients is None else self._stored_gradients.size
        return self.partition.number(sample, rows)

    def _stored(self) -> StoredGradients:
        """The stored component gradients of the snapshot's full pass; evaluated again after a checkpoint."""
        assert self._stored_gradients is not None and self.snapshot is not None  # noqa: PT018
        parts = (self.source.take(part) for part in self.partition.parts())
        return self._stored_gradients.standing(self.snapshot, parts)

    def _centred(self, part: Gradients, players: tuple[str, ...]) -> Gradients:
        """F_B(w) - alpha F_B(w_S), with alpha F(w_S) added for these players."""
        assert self.snapshot is not None
        for name in players:
            add_(part[name], self.snapshot.mean[name], self.alpha.number)
        return part

    def due(self) -> Tensor:
        worn = self.schedule == "adaptive" and any(ratio > self.threshold for ratio in self.watch.ratios.values())
        return self.timer.due() | worn

    def take_snapshot(self, game: Game, members: Tensor | None = None) -> None:
        """One full pass at the current iterate; the source's frozen randomness is drawn anew just before it."""
        if self._resolved is None:
            self.bind(game)
        members = None if not isinstance(game, Stacked) or self.snapshot is None else members
        source = self.source
        here: Game = game
        if members is not None:
            assert isinstance(game, Stacked)
            here, source = game.subset(members), source.subset(members)
        if self.snapshot is not None:
            source.redraw()
        self.partition.forget()
        self.timer.restart(members)
        self.watch.restart(game.players, self.draws)
        self.alpha.restart(self.draws, members)
        if self.snapshot is not None and self.alpha.over_for_good:
            return
        chunks = component_batches(source, self._resolved or "samples", self.batch, self.chunk or self.batch)
        keep = None if self._stored_gradients is None else self._stored_gradients.keep()
        mean, samples = full_gradient(here, chunks, equal=self._resolved == "batches", keep=keep)
        self.count(mean, samples if members is None else samples * members)
        newer = Snapshot(here.point(), [b.clone() for b in here.buffers()], dict(mean))
        if members is None or self.snapshot is None:
            self.snapshot = newer
        else:
            self.snapshot.overwrite(newer, members)
        if self._stored_gradients is not None:
            self._stored_gradients.of = self.snapshot

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        if self.refreshes_on_jump:
            self.take_snapshot(game, members)

    @property
    def upkeep(self) -> float:
        passes = 0.0 if self.alpha.over_for_good else float(self.source.size or 0)
        steps = self.timer.every if math.isfinite(self.timer.every) else self.n_batches
        return passes / steps

    def discard(self) -> None:
        self.alpha.discard()

    def evaluations_at_both(self, sample: Any) -> int:
        return 2 if self._row(sample) is None else 1

    def state_dict(self) -> dict[str, Any]:
        shot = self.snapshot
        return {
            **super().state_dict(),
            "snapshot": shot and {"point": dict(shot.point), "buffers": shot.buffers, "mean": shot.mean},
            "schedule": self.timer.state_dict(),
            "coins": self._coins.state_dict(),
            "alpha": self.alpha.state_dict(),
            **self.watch.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        shot = state["snapshot"]
        if shot is None:
            self.snapshot = None
        elif self.snapshot is None or not self.snapshot.stands_at(shot["point"]):  # else its stored gradients stay good
            self.snapshot = Snapshot(**copied(shot))
        self.timer.load_state_dict(state["schedule"])
        self._coins.load_state_dict(state["coins"])
        self.watch.load_state_dict(state)
        if "alpha" in state:  # checkpoints of before have 1
            self.alpha.load_state_dict(state["alpha"])
        self.partition.forget()
