"""Anchored extragradient (Yoon and Ryu 2021) and the Halpern iteration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.optim.base import Moments, Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Remembered, Rule, StepInfo
from manypaths.rules.update_gradient import Form, update_gradients
from manypaths.vectors import Gradients, add_, copied, lerp_, scale_


@dataclass(eq=False)
class Anchored(Rule):
    """w_{t+1} = w_t + (w_0 - w_t) / (t + 2) - eta F(w_{t+1/2}): a pull to the start that fades as 1/t.

    Anchored extragradient, EAG-C of Yoon and Ryu 2021, with w_{t+1/2} = w_t + b_t (w_0 - w_t) - eta F(w_t) and
    b_t = 1 / (t + 2): ||F(w_t)||^2 falls as 1/t^2 on convex-concave games, for the last iterate. Without the
    extrapolation it is the Halpern iteration w_{t+1} = b_t w_0 + (1 - b_t) (w_t - eta F(w_t)).

    The anchor is where a player stood before its first step. It stays there when the iterate jumps (a restart, a
    lookahead sync), and t goes on counting.

    Attributes:
        extrapolate: take the gradient at w_{t+1/2} (EAG), or at w_t (Halpern).
        at: where the second gradient is taken, as in ``Extragradient``; the rate is proved for ``"joint"``.
        moments: what the half-step does to the optimiser's state, as in ``Extragradient``.
        fresh_sample: draw a new sample for the second gradient, as in ``Extragradient``.
    """

    extrapolate: bool = True
    at: Form = "joint"
    moments: Moments = "shared"
    fresh_sample: bool = True
    _anchor: dict[str, list[Tensor]] = field(default_factory=dict, init=False, repr=False)
    _moves: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)
        if not self.extrapolate and (self.at, self.moments, self.fresh_sample) != ("joint", "shared", True):
            raise InvalidValue(
                "Anchored(extrapolate=False) has no half-step: expected no at, no moments and no fresh_sample"
            )

    @property
    def extrapolates(self) -> bool:  # type: ignore[override]
        return self.extrapolate

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names = game.names(players)
        self._anchor.update(game.point([name for name in names if name not in self._anchor]))
        pull = {name: 1.0 / (self._moves.get(name, 0) + 2) for name in names}
        sample = oracle.draw()
        gradients = oracle(game, sample, names, moves_buffers=True)
        losses = gradients.losses
        if self.extrapolate:
            towards = self._towards_anchor(game, pull)
            with game.swapped_aside(names) as start:
                with optimizers.extrapolating(names, self.moments):
                    self._apply(game, optimizers, gradients, towards)
                sample = oracle.draw() if self.fresh_sample else sample
                gradients = update_gradients(game, oracle, sample, start, self.at)
            self._apply(game, optimizers, gradients, towards)
        else:
            optimizers.apply(game, gradients)
            for name in names:
                lerp_(game.parameters(name), self._anchor[name], pull[name])
        self._moves.update({name: self._moves.get(name, 0) + 1 for name in names})
        return StepInfo(losses)

    def _towards_anchor(self, game: Game, pull: dict[str, float]) -> Remembered:
        """b_t (w_0 - w_t)."""
        vectors: Remembered = {name: [t.clone() for t in self._anchor[name]] for name in pull}
        for name, vector in vectors.items():
            add_(vector, game.parameters(name), -1.0)
            scale_(vector, pull[name])
        return vectors

    def _apply(self, game: Game, optimizers: Optimizers, gradients: Gradients, towards: Remembered) -> None:
        optimizers.apply(game, gradients)
        for name, vector in towards.items():
            add_(list(game.parameters(name)), vector)
        game.project(towards)

    def state_dict(self) -> dict[str, Any]:
        return {"anchor": dict(self._anchor), "moves": dict(self._moves)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._anchor, self._moves = copied(state["anchor"]), dict(state["moves"])
