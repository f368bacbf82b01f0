"""Accelerated optimistic gradients (Tran-Dinh), with remembered gradients or with one sample at two points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from manypaths import fields
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Remembered, Rule, StepInfo, remembered
from manypaths.rules.moves import moved, shift
from manypaths.vectors import Point, add_, copied, scale_


@dataclass(eq=False)
class AcceleratedOptimistic(Rule):
    """x_{k+1} = x_k + theta (x_k - x_{k-1}) - eta_k (F(x_k) - gamma F(x_{k-1})), with x_{-1} = x_0.

    AOG (Tran-Dinh): theta = (k + 1) / (k + r + 3), gamma = (k + 1) / (k + r + 1) and eta_k = 2 eta (k + r + 1) /
    (k + r + 3), eta the base's rate. By default F(x_{k-1}) is the gradient of the last step, one evaluation per step.
    ``same_sample=True`` evaluates the new sample at both points: around ``SVRG`` this is AOG's variance-reduced form
    (1 - gamma) (F(w) - F_B(w)) + F_B(x_k) - gamma F_B(x_{k-1}) with the snapshot w.

    What is remembered is x_k - x_{k-1}, which goes along when the iterate jumps, and k goes on counting; gradients are
    those at the point of then.

    Attributes:
        r: how late the acceleration sets in.
        same_sample: take the gradient at x_{k-1} on the new sample too.
    """

    r: fields.Positive = 1.0
    same_sample: bool = False
    _last: dict[str, dict[str, list[Tensor]]] = field(default_factory=dict, init=False, repr=False)
    """By who moves, for ``same_sample``: x_{k-1}, the joint point at their last turn."""
    _velocity: Remembered = field(default_factory=dict, init=False, repr=False)
    """x_k - x_{k-1}."""
    _gradient: Remembered = field(default_factory=dict, init=False, repr=False)
    _moves: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names, here, sample = game.names(players), game.point(), oracle.draw()
        last = self._last.get(" ".join(names), here)
        gradients = oracle(game, sample, names, moves_buffers=True)
        now = remembered(gradients)
        past = self._past(game, oracle, sample, names, last) or now
        momentum: Remembered = {}
        for name in names:
            k = self._moves.get(name, 0)
            add_(gradients[name], past.get(name, now[name]), -(k + 1) / (k + self.r + 1))
            scale_(gradients[name], 2 * (k + self.r + 1) / (k + self.r + 3))
            if name in self._velocity:
                momentum.update(remembered({name: self._velocity[name]}))
                scale_(momentum[name], (k + 1) / (k + self.r + 3))
            self._moves[name] = k + 1
        optimizers.apply(game, gradients)
        shift(game, momentum)
        self._gradient.update(now)
        self._velocity.update(moved(game, {name: here[name] for name in names}))
        if self.same_sample:
            self._last[" ".join(names)] = here
        return StepInfo(gradients.losses)

    def _past(self, game: Game, oracle: Oracle, sample: Any, names: tuple[str, ...], last: Point) -> Any:
        """F(x_{k-1}) of the players that have moved before: remembered, or of the new sample."""
        known = tuple(name for name in names if self._moves.get(name))
        if not known:
            return {}
        if not self.same_sample:
            return {name: self._gradient[name] for name in known}
        with game.at(last):
            return oracle(game, sample, known)

    def state_dict(self) -> dict[str, Any]:
        memory = {"last": self._last, "gradient": self._gradient, "velocity": self._velocity, "moves": self._moves}
        return {what: dict(kept) for what, kept in memory.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._last, self._gradient = copied(state["last"]), copied(state["gradient"])
        self._velocity, self._moves = copied(state["velocity"]), dict(state["moves"])
