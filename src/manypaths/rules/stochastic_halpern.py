"""Halpern's iteration with one noisy gradient per step (Kim and Alacaoglu 2026)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from torch import Tensor

from manypaths import fields
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Rule, StepInfo
from manypaths.rules.moves import stretch
from manypaths.vectors import add_, copied


@dataclass(eq=False)
class StochasticHalpern(Rule):
    """w_{t+1} = (1 - b_t) w_t + b_t w_0 - eta_t F(w_t) with b_t = a / (t + a) and eta_t = eta / (t + a)^{3/4}.

    The single-call stochastic Halpern iteration of Kim and Alacaoglu 2026, eta = 1 / H the base's rate: the anchor
    fades as in ``Anchored(extrapolate=False)``, and the steps fall, so that no large batch is needed. The anchor is
    where a player stood before its first step, as in ``Anchored``.

    Attributes:
        a: how slowly both fade, at least 2.
    """

    a: Annotated[float, fields.Bound(at_least=2, below=float("inf"))] = 2.0
    _anchor: dict[str, list[Tensor]] = field(default_factory=dict, init=False, repr=False)
    _moves: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names = game.names(players)
        self._anchor.update(game.point([name for name in names if name not in self._anchor]))
        start = game.point(names)
        gradients = oracle(game, oracle.draw(), names, moves_buffers=True)
        optimizers.apply(game, gradients)
        for name in names:
            t = self._moves.get(name, 0)
            stretch(game, {name: start[name]}, (t + self.a) ** -0.75)
            pull = self.a / (t + self.a)
            add_(list(game.parameters(name)), self._anchor[name], pull)
            add_(list(game.parameters(name)), start[name], -pull)
            self._moves[name] = t + 1
        game.project(names)
        return StepInfo(gradients.losses)

    def state_dict(self) -> dict[str, Any]:
        return {"anchor": dict(self._anchor), "moves": dict(self._moves)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._anchor, self._moves = copied(state["anchor"]), dict(state["moves"])
