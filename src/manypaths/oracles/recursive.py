"""Estimators that correct themselves from their last estimate and one batch at two consecutive points."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from manypaths.evaluation.side_by_side import SideBySide
from manypaths.games.base import Game
from manypaths.games.capabilities import Stacked, combine
from manypaths.oracles.base import Oracle
from manypaths.vectors import Gradients, Point, copied, remembered, rows

Key = tuple[str, int]
"""A player, and the role of a draw: which one of its step it was for this player."""


@dataclass(frozen=True, eq=False)
class Previous:
    """What one player is corrected by: the joint point of its last call in a role, and a vector from there.

    ``alive``: of a population, which members have not jumped since, (m,).
    """

    point: Point
    buffers: list[Tensor]
    vector: list[Tensor | None]
    alive: Tensor | None = None


class Recursive(Oracle):
    """An estimate that is corrected at the previous point, without snapshots and without full passes.

    **The previous point** of a player is where it was last asked *in the same role*: the first draw of one step follows
    the first draw of the step before, the second the second. So under extragradient w_{t+1/2} follows w_{t-1/2} and
    w_{t+1} follows w_t, each with estimates of its own; with one sample for both half-steps, a single draw, the last of
    its points is remembered. Under alternating play each player follows its own last turn, at the joint point of then,
    opponents included. A step begins where a rule asks with ``moves_buffers``.

    All calls for one sample meet the same past: what they add is remembered at the next draw. A jump (a lookahead sync,
    a restart) is in ``on_jump``: ``"refresh"`` forgets the past, so that the estimate starts anew as at the first step;
    ``"keep"`` re-evaluates the next batch at both ends of the jump, however far they are apart.

    Given the past the estimate is biased (``unbiased`` is False).
    """

    unbiased: ClassVar[bool] = False
    on_jump: Literal["refresh", "keep"]

    def __init__(self) -> None:
        super().__init__()
        self._past: dict[Key, Previous] = {}
        self._present: dict[Key, Previous] = {}
        """Of the calls since the last draw."""
        self._roles: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        """In which draw of this step a player was asked last."""
        self._began = 0
        """The first draw of this step."""

    # ---- to be written -------------------------------------------------------------------------------------------

    @abstractmethod
    def corrected(self, now: list[Tensor | None], then: list[Tensor | None], past: Previous) -> list[Tensor | None]:
        """The estimate, from F_B(w), F_B(w') at the previous point and what is remembered of it."""

    def remembers(self, now: list[Tensor | None], estimate: list[Tensor | None]) -> list[Tensor | None]:
        """What is kept for the next estimate: this one."""
        return estimate

    looks_back: ClassVar[bool] = True
    """Whether the batch is evaluated at the previous point too."""

    # ---- derived -------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """A new sample is drawn: what was found for the last one is the past."""
        self._remember()
        self.draws += 1

    def estimate(self, game: Game, sample: Any, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        """F_B(w) of the named players, corrected where there is a past."""
        keys = self._keys(names, moves_buffers)
        past = {name: self._past[key] for name, key in keys.items() if key in self._past}
        here, buffers = game.point(), [b.clone() for b in game.buffers()]
        now, then = self._evaluated(game, sample, names, past, moves_buffers)
        found: dict[str, list[Tensor | None]] = {}
        for name in names:
            plain = now[name]
            if name not in past:
                found[name] = plain
            else:
                found[name] = self.corrected(plain, then.get(name, []), past[name])
                if (alive := past[name].alive) is not None and not alive.all():
                    found[name] = _rows_of(alive, found[name], plain)
            kept = remembered({name: self.remembers(plain, found[name])})[name]
            self._present[keys[name]] = Previous(here, buffers, kept)
        return Gradients(found, now.losses)

    def anew(
        self, game: Game, names: tuple[str, ...], moves_buffers: bool, evaluate: Callable[[], Gradients]
    ) -> Gradients:
        """An estimate that takes nothing from the past; the next ones are corrected by it."""
        keys = self._keys(names, moves_buffers)
        here, buffers = game.point(), [b.clone() for b in game.buffers()]
        found = evaluate()
        kept = remembered(found)
        self._present.update({keys[name]: Previous(here, buffers, kept[name]) for name in names})
        return found

    def _keys(self, names: tuple[str, ...], moves_buffers: bool) -> dict[str, Key]:
        """The roles of a call."""
        if moves_buffers and self._began != self.draws:
            self._roles, self._asked, self._began = {}, {}, self.draws
        for name in names:
            if self._asked.get(name) != self.draws:
                self._roles[name] = self._roles.get(name, -1) + 1
                self._asked[name] = self.draws
        return {name: (name, self._roles[name]) for name in names}

    def _evaluated(
        self, game: Game, sample: Any, names: tuple[str, ...], past: dict[str, Previous], moves_buffers: bool
    ) -> tuple[Gradients, dict[str, list[Tensor | None]]]:
        """F_B at the iterate, and at the previous points: once for all players that have the same."""
        self.count(names, len(sample))
        groups: dict[int, list[str]] = {}
        for name in past if self.looks_back else ():
            groups.setdefault(id(past[name].point), []).append(name)
            alive = past[name].alive
            self.count((name,), len(sample) if alive is None else len(sample) * alive.long())
        then: dict[str, list[Tensor | None]] = {}
        now: Gradients | None = None
        for k, together in enumerate(groups.values()):
            there = past[together[0]]
            if k + 1 == len(groups):  # the last beside the present one
                now, part = SideBySide.of(game).here_and_there(
                    sample, names, there.point, there.buffers, tuple(together), moves_buffers=moves_buffers
                )
                now, part = combine(game, now), combine(game, part)
            else:
                with game.at(there.point, there.buffers, borrow=True):
                    part = game.gradients(sample, together)
            then.update({name: part[name] for name in together})
        if now is None:
            now = game.gradients(sample, names, moves_buffers=moves_buffers)
        return now, then

    def discard(self) -> None:
        self._present = {}

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        if self.on_jump == "keep":
            return
        self._remember()
        if members is None or not isinstance(game, Stacked):
            self._past = {}
            return
        self._past = {
            key: Previous(old.point, old.buffers, old.vector, ~members if old.alive is None else old.alive & ~members)
            for key, old in self._past.items()
        }

    def _remember(self) -> None:
        """What was found for the present sample becomes the past."""
        self._past.update(self._present)
        self._present = {}

    def state_dict(self) -> dict[str, Any]:
        points: list[tuple[Point, list[Tensor]]] = []
        parts: dict[str, list[Any]] = {"past": [], "present": []}
        for which, kept in (("past", self._past), ("present", self._present)):
            for (player, role), old in kept.items():
                place = next((i for i, (p, _) in enumerate(points) if p is old.point), len(points))
                if place == len(points):
                    points.append((old.point, old.buffers))
                parts[which].append((player, role, place, old.vector, old.alive))
        asked = {"roles": dict(self._roles), "asked": dict(self._asked), "began": self._began}
        return {**super().state_dict(), **parts, "points": [(dict(p), b) for p, b in points], **asked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        points: list[tuple[Any, Any]] = [(copied(point), copied(buffers)) for point, buffers in state["points"]]

        def kept(which: str) -> dict[Key, Previous]:
            return {
                (player, role): Previous(
                    points[place][0], points[place][1], copied(vector), None if alive is None else alive.cpu()
                )
                for player, role, place, vector, alive in state[which]
            }

        self._past, self._present = kept("past"), kept("present")
        self._roles, self._asked, self._began = dict(state["roles"]), dict(state["asked"]), state["began"]


def combined(*terms: tuple[float, Sequence[Tensor | None]]) -> list[Tensor | None]:
    """sum_k c_k v_k in memory of its own, where ``None`` is zero; the first term says which entries exist."""
    (scale, first), *others = terms
    found: list[Tensor | None] = []
    for i, t in enumerate(first):
        if t is None:
            found.append(None)
            continue
        total = t * scale
        for factor, vector in others:
            if (v := vector[i]) is not None:
                total.add_(v, alpha=factor)
        found.append(total)
    return found


@torch.no_grad()
def _rows_of(alive: Tensor, corrected: list[Tensor | None], plain: list[Tensor | None]) -> list[Tensor | None]:
    """The corrected estimate for some members, the plain one for the others."""
    return [
        c if c is None or p is None else torch.where(rows(alive.to(c.dtype), c) > 0, c, p)
        for c, p in zip(corrected, plain, strict=True)
    ]
