"""The dual of Halpern's iteration, for a horizon known in advance (Yoon, Kim, Suh and Ryu 2024)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from torch import Tensor

from manypaths import fields
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Remembered, Rule, StepInfo, remembered
from manypaths.vectors import add_, copied, scale_


@dataclass(eq=False)
class DualHalpern(Rule):
    """x_{k+1} = x_k + (N - k - 1) / (N - k) (T x_k - T x_{k-1}) with T = I - eta F and T x_{-1} = x_0.

    S-Dual-OHM (Yoon and Loizou) with a mini-batch for each T: one evaluation per step, and for cocoercive fields
    E ||F||^2 <= 4 D^2 / (eta^2 N^2) + 6 sigma^2 / B after N - 1 steps. Halpern's rate without its anchor, for a horizon
    N that is fixed in advance. At its end, where the factor is 0, and at a jump a new horizon begins at the iterate.

    Attributes:
        horizon: N; N - 1 steps move.
    """

    horizon: Annotated[int, fields.Bound(at_least=2)] = 100
    _image: Remembered = field(default_factory=dict, init=False, repr=False)
    """T x_{k-1}."""
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
        images = remembered(game.point(names))
        for name in names:
            k = self._moves.get(name, 0)
            before = self._image.get(name, start[name]) if k else start[name]
            move: Remembered = {name: [*game.point((name,))[name]]}
            add_(move[name], before, -1.0)
            scale_(move[name], (self.horizon - k - 1) / (self.horizon - k))
            game.move_to({name: start[name]})
            add_(list(game.parameters(name)), move[name])
            self._moves[name] = (k + 1) % (self.horizon - 1)
        game.project(names)
        self._image.update(images)
        return StepInfo(gradients.losses)

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        self._image, self._moves = {}, {}

    def state_dict(self) -> dict[str, Any]:
        return {"image": dict(self._image), "moves": dict(self._moves)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._image, self._moves = copied(state["image"]), dict(state["moves"])
