"""The contract of a rule: one step of the iterate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from manypaths.games.base import Game
from manypaths.games.step import StepInfo
from manypaths.optim.base import Bases
from manypaths.oracles.base import Oracle

__all__ = ["Rule", "StepInfo"]


class Rule(ABC):
    """Decides where and how often an oracle is asked, and hands what it gets to the bases.

    Rules are dataclasses of hyper-parameters; whatever they remember between steps is keyed by player, so that
    ``Alternating`` can drive any of them one player at a time.
    """

    joint_only: ClassVar[bool] = False
    """Whether the rule must see all players at once (then ``Alternating`` refuses it)."""

    @abstractmethod
    def step(self, game: Game, oracle: Oracle, bases: Bases, players: Iterable[str] | None = None) -> StepInfo:
        """Advance the named players (default: all) by one step."""

    def check(self, game: Game) -> None:
        """Refuse a game that the rule cannot play; ``Training`` calls it at construction."""

    def keeps_half(self) -> bool:
        """Whether ``StepInfo.half`` is filled in."""
        return False

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state:
            raise ValueError(f"{type(self).__name__} has no state, got {sorted(state)}")
