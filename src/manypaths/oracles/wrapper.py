"""Oracles around another oracle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

from manypaths.games.base import Game
from manypaths.oracles.base import Oracle
from manypaths.vectors import Gradients


class Wrapper(Oracle):
    """Hands everything on to ``oracle``, and shares its source and its counts; subclasses change what they are about.

    Concrete wrappers are dataclasses whose ``__post_init__`` calls ``super().__init__()`` once ``oracle`` is checked.
    """

    oracle: Oracle

    def __init__(self) -> None:
        super().__init__()
        self.source, self.batch = self.oracle.source, self.oracle.batch
        self.evaluations = self.oracle.evaluations

    @property
    def takes_snapshots(self) -> bool:  # type: ignore[override]
        return self.oracle.takes_snapshots

    @property
    def needs_finite_sum(self) -> bool:  # type: ignore[override]
        return self.oracle.needs_finite_sum

    @property
    def refreshes_on_jump(self) -> bool:  # type: ignore[override]
        return self.oracle.refreshes_on_jump

    def bind(self, game: Game) -> str | None:
        super().bind(game)
        return self.oracle.bind(game)

    def draw(self) -> Any:
        self.draws += 1
        return self.oracle.draw()

    def outcomes(self) -> Iterator[tuple[float, Any]]:
        return self.oracle.outcomes()

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        return self.oracle(game, sample, players, moves_buffers=moves_buffers)

    def due(self) -> Tensor:
        return self.oracle.due()

    def take_snapshot(self, game: Game, members: Tensor | None = None) -> None:
        self.oracle.take_snapshot(game, members)

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        self.oracle.jumped(game, members)

    def plain(self, sample: Any) -> Any:
        return self.oracle.plain(sample)

    @property
    def upkeep(self) -> float:
        return self.oracle.upkeep

    def discard(self) -> None:
        self.oracle.discard()

    def state_dict(self) -> dict[str, Any]:
        return {"draws": self.draws, "oracle": self.oracle.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.draws = state["draws"]
        self.oracle.load_state_dict(state["oracle"])
        self.evaluations = self.oracle.evaluations
