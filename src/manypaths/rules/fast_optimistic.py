"""Fast optimistic gradient descent ascent (Bot, Csetnek and Nguyen)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from manypaths import fields
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Remembered, Rule, StepInfo, remembered
from manypaths.rules.moves import moved, shift
from manypaths.vectors import Gradients, add_, copied, scale_


@dataclass(eq=False)
class FastOptimistic(Rule):
    """y_k = x_k + k / (k + a) (x_k - x_{k-1}) - eta a / (k + a) F(y_{k-1}),  x_{k+1} = y_k - eta (2k + a) / (k + a)
    (F(y_k) - F(y_{k-1})): one gradient per step, at y_k.

    Fast OGDA (Bot, Csetnek and Nguyen), eta the base's rate: the norm of the field falls as 1/k on monotone fields. At
    first x_{-1} = x_0, and there is no gradient before, so x_1 is a plain step. The losses of a step are those at y_k.
    What is remembered is x_k - x_{k-1}, which goes along when the iterate jumps, and k goes on counting.

    Attributes:
        a: more than 2.
    """

    a: Annotated[float, fields.Bound(above=2, below=float("inf"))] = 2.1
    _velocity: Remembered = field(default_factory=dict, init=False, repr=False)
    """x_k - x_{k-1}."""
    _gradient: Remembered = field(default_factory=dict, init=False, repr=False)
    """F(y_{k-1})."""
    _moves: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names = game.names(players)
        start, steps = game.point(names), {name: self._moves.get(name, 0) for name in names}
        known = tuple(name for name in names if name in self._gradient)
        past = remembered({name: self._gradient[name] for name in known})
        for name in known:
            scale_(past[name], self.a / (steps[name] + self.a))
        optimizers.apply(game, Gradients(past, {}))
        for name in known:
            shift(game, {name: self._velocity[name]}, steps[name] / (steps[name] + self.a))
        gradients = oracle(game, oracle.draw(), names, moves_buffers=True)
        now = remembered(gradients)
        for name in names:
            k = steps[name]
            if name in self._gradient:
                add_(gradients[name], self._gradient[name], -1.0)
            scale_(gradients[name], (2 * k + self.a) / (k + self.a))
            self._moves[name] = k + 1
        optimizers.apply(game, gradients)
        self._gradient.update(now)
        self._velocity.update(moved(game, start))
        return StepInfo(gradients.losses)

    def state_dict(self) -> dict[str, Any]:
        return {"velocity": dict(self._velocity), "gradient": dict(self._gradient), "moves": dict(self._moves)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._velocity, self._gradient = copied(state["velocity"]), copied(state["gradient"])
        self._moves = dict(state["moves"])
