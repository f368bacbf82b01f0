"""The dual of Halpern's iteration, for a horizon known in advance (Yoon, Kim, Suh and Ryu 2024)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from manypaths import fields
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Remembered, Rule, StepInfo
from manypaths.rules.moves import moved, shift
from manypaths.vectors import add_, copied


@dataclass(eq=False)
class DualHalpern(Rule):
    """x_{k+1} = x_k + (N - k - 1) / (N - k) (T x_k - T x_{k-1}) with T = I - eta F and T x_{-1} = x_0.

    S-Dual-OHM (Yoon and Loizou) with a mini-batch for each T: one evaluation per step, and for cocoercive fields
    E ||F||^2 <= 4 D^2 / (eta^2 N^2) + 6 sigma^2 / B after N - 1 steps. Halpern's rate without its anchor, for a horizon
    N that is fixed in advance. At its end, where the factor is 0, a new horizon begins at the iterate.
    What is remembered is T x_{k-1} - x_k, which goes along when the iterate jumps.

    Attributes:
        horizon: N; N - 1 steps move.
    """

    horizon: Annotated[int, fields.Bound(at_least=2)] = 100
    _ahead: Remembered = field(default_factory=dict, init=False, repr=False)
    """T x_{k-1} - x_k."""
    _moves: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names = game.names(players)
        start = game.point(names)
        gradients = oracle(game, oracle.draw(), names, moves_buffers=True)
        optimizers.apply(game, gradients)
        images: Remembered = {name: [*tensors] for name, tensors in game.point(names).items()}
        for name in names:
            k = self._moves.get(name, 0)
            move = moved(game, {name: start[name]})
            if k:
                add_(move[name], self._ahead[name], -1.0)
            game.move_to({name: start[name]})
            shift(game, move, (self.horizon - k - 1) / (self.horizon - k))
            add_(images[name], game.parameters(name), -1.0)
            self._moves[name] = (k + 1) % (self.horizon - 1)
        self._ahead.update(images)
        return StepInfo(gradients.losses)

    def state_dict(self) -> dict[str, Any]:
        return {"ahead": dict(self._ahead), "moves": dict(self._moves)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._ahead, self._moves = copied(state["ahead"]), dict(state["moves"])
