"""Accelerated variance reduction for games (Palaniappan and Bach 2016)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidType
from manypaths.games.base import Game
from manypaths.games.capabilities import seeds_of
from manypaths.oracles.base import Oracle
from manypaths.oracles.wrapper import Wrapper
from manypaths.vectors import Gradients, Point, add_, copied, replaced


@dataclass(eq=False)
class AcceleratedSVRG(Wrapper):
    """d(w) = d_SVRG(w) + tau (w - c): variance reduction inside a proximal-point loop whose centre c follows.

    A stage solves the game with the field F(w) + tau (w - c_k), which is better conditioned, and c_{k+1} is where it
    ends (games have no extrapolation). With tau of the order of L / sqrt(n) a stage costs about n evaluations and
    1 + tau / mu stages are needed: n + sqrt(n) L / mu in all, up to logarithms, where SVRG needs n + (L / mu)^2. The
    fixed point is that of F.

    Args:
        oracle: what estimates F: ``SVRG``, or another oracle that takes snapshots.
        tau: strength of the pull to the centre.
        stage: snapshots per stage; the centre moves to the iterate with the first snapshot of each (a member of a
            population counts its own).
    """

    oracle: Oracle
    tau: fields.Positive
    stage: fields.PositiveInt = 1

    unbiased: ClassVar[bool] = False
    serves_populations: ClassVar[bool] = True
    centre: Point | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)
        if not self.oracle.takes_snapshots:
            raise InvalidType(
                f"AcceleratedSVRG.oracle is {type(self.oracle).__name__}, which takes no snapshots: expected SVRG"
            )
        super().__init__()
        self._snapshots = torch.zeros(1, dtype=torch.int64)
        """Taken so far, by every member of a population."""

    def draw(self) -> Any:
        if self.centre is None and self.bound is not None:
            self.take_snapshot(self.bound)
        return super().draw()

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        if self.centre is None:
            self.take_snapshot(game)
        assert self.centre is not None
        estimate = super().__call__(game, sample, players, moves_buffers=moves_buffers)
        for name in estimate:
            here, centre = game.parameters(name), self.centre[name]
            pull = [None if g is None else w.detach() - c for g, w, c in zip(estimate[name], here, centre, strict=True)]
            add_(estimate[name], pull, self.tau)
        return estimate

    def take_snapshot(self, game: Game, members: Tensor | None = None) -> None:
        super().take_snapshot(game, members)
        if seeds_of(game) is None or members is None:
            members = torch.ones(len(seeds_of(game) or (0,)), dtype=torch.bool)
        begins = members & (self._snapshots % self.stage == 0)
        self._snapshots = self._snapshots + members
        if self.centre is None:
            self.centre = game.point()
        elif begins.any():
            here = game.point()
            self.centre = {name: replaced(centre, here[name], begins) for name, centre in self.centre.items()}

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        """A snapshot that a jump asks for counts like any other: the centre follows."""
        if self.refreshes_on_jump:
            self.take_snapshot(game, members)
        else:
            super().jumped(game, members)

    def state_dict(self) -> dict[str, Any]:
        centre = None if self.centre is None else dict(self.centre)
        return {**super().state_dict(), "centre": centre, "snapshots": self._snapshots.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.centre, self._snapshots = copied(state["centre"]), state["snapshots"].cpu()
