"""Extragradient with a pull to one anchor (R-SEG) or to all earlier iterates (RAIN; Chen and Luo 2022)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from manypaths import fields
from manypaths.games.base import Game
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Remembered, Rule, StepInfo
from manypaths.vectors import Gradients, add_, copied


@dataclass(eq=False)
class RecursiveAnchoring(Rule):
    """w = z - tau (F(z) + P(z)),  z+ = z - tau (F(w) + P(w)), with a pull P to earlier points.

    Chen and Luo 2022, with a new sample for the second gradient. R-SEG (``gamma=0``): P(z) = lambda (z - z_0). RAIN:
    P(z) = sum_{j<=k} lambda gamma (1 + gamma)^j (z - z_j), all iterates so far with weights that grow, of which two
    running sums remember everything. The weights grow exponentially: tau lambda (1 + gamma)^T must stay below 1 over
    the T steps of a run. The anchors stay where they are when the iterate jumps.

    Attributes:
        weight: lambda.
        gamma: how fast the weights grow; 0 is R-SEG.
    """

    weight: fields.NonNegative = 0.1
    gamma: fields.NonNegative = 0.001
    _anchors: Remembered = field(default_factory=dict, init=False, repr=False)
    """sum_j c_j z_j, by player."""
    _total: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    """sum_j c_j, by player."""
    _moves: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names = game.names(players)
        self._anchor(game, names)
        gradients = oracle(game, oracle.draw(), names, moves_buffers=True)
        losses = gradients.losses
        self._pull(game, gradients)
        with game.swapped_aside(names):
            optimizers.apply(game, gradients)
            gradients = oracle(game, oracle.draw(), names)
            self._pull(game, gradients)
        optimizers.apply(game, gradients)
        return StepInfo(losses)

    def _anchor(self, game: Game, names: tuple[str, ...]) -> None:
        """z_k becomes an anchor."""
        for name in names:
            k = self._moves.get(name, 0)
            self._moves[name] = k + 1
            if self.gamma == 0 and k:
                continue
            c = self.weight * (self.gamma * (1.0 + self.gamma) ** k if self.gamma else 1.0)
            held: list[Tensor | None] = [p.detach() * c for p in game.parameters(name)]
            add_(held, self._anchors.get(name, [None] * len(held)))
            self._anchors[name] = held
            self._total[name] = self._total.get(name, 0.0) + c

    def _pull(self, game: Game, gradients: Gradients) -> None:
        """P at the present point, added to the gradients that exist."""
        for name in gradients:
            for g, p, s in zip(gradients[name], game.parameters(name), self._anchors[name], strict=True):
                if g is not None and s is not None:
                    g.add_(p.detach(), alpha=self._total[name]).sub_(s)

    def state_dict(self) -> dict[str, Any]:
        return {"anchors": dict(self._anchors), "total": dict(self._total), "moves": dict(self._moves)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._anchors = copied(state["anchors"])
        self._total, self._moves = dict(state["total"]), dict(state["moves"])
