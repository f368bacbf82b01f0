"""The contract of a rule: one step of the iterate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from torch import Tensor

from manypaths.errors import InvalidType
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.step import StepInfo
from manypaths.vectors import remembered

__all__ = ["Remembered", "Rule", "StepInfo", "remembered"]

Remembered = dict[str, list[Tensor | None]]
"""Player -> one tensor per parameter, replaced as a whole and never written into."""


class Rule(ABC):
    """Decides where and how often an oracle is asked, and hands what it gets to the optimizers.

    A rule is a dataclass of hyper-parameters: frozen where it remembers nothing, and otherwise
    ``@dataclass(eq=False)`` with its memory in ``field(init=False, repr=False)``. Memory is keyed by player, so that
    ``Alternating`` can drive any rule one player at a time, and ``state_dict`` holds all of it.
    """

    joint_only: ClassVar[bool] = False
    """Whether the rule must see all players at once (then ``Alternating`` refuses it)."""

    extrapolates: bool = False
    """Whether gradients are taken at another point than the one from which the optimisers move."""

    @abstractmethod
    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        """Advance the named players (default: all) by one step."""

    def check(self, game: Game, oracle: Oracle, optimizers: Optimizers) -> None:
        """Refuse what the rule cannot work with; ``Training`` calls it at construction, with the oracle bound."""
        optimizers.check_moments(getattr(self, "moments", "shared"))

    def keeps_extrapolated(self) -> bool:
        """Whether ``StepInfo.extrapolated`` is filled in."""
        return False

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        """The iterate was moved by something else than this rule (a restart, the sync of a lookahead around it)."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state:
            raise ValueError(f"{type(self).__name__} has no state, got {sorted(state)}")

    def _all(self, game: Game, players: Iterable[str] | None) -> tuple[str, ...]:
        """Every player; a step of only some of them is refused."""
        names = game.names(players)
        if set(names) != set(game.players):
            raise InvalidType(f"{type(self).__name__} moves all players at once: expected no subset, got {names}")
        return tuple(game.players)
