"""Stochastic extragradient with a fixed extrapolation (SEG+) and its bias correction (Pethick et al. 2023)."""

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
from manypaths.rules.moves import moved, shift, stretch
from manypaths.vectors import Gradients, Point, add_, copied


@dataclass(eq=False)
class BiasCorrectedExtragradient(Rule):
    """zb_k = z_k - gamma F(z_k) + (1 - beta_k) (zb_{k-1} - z_{k-1} + gamma F(z_{k-1})),  z_{k+1} = z_k - alpha_k gamma
    F(zb_k): extrapolations of fixed length gamma, updates that fall.

    BC-SEG+ of Pethick et al. 2023, with beta_k = alpha_k = alpha / (1 + k / over)^power and gamma the base's rate; both
    F(z_k) and F(z_{k-1}) are taken on the sample of the half-step, so a step costs three evaluations.
    ``correct=False`` is SEG+, beta_k = 1, at two. At first z_{-1} = zb_{-1} = z_0. Where no player's own extrapolation
    could be small enough, as in weak Minty games, the fixed gamma is what converges, and the correction is what keeps
    its noise from adding up. The past stays when the iterate jumps.

    Attributes:
        alpha: of the first step.
        over: how many steps until alpha has fallen to alpha / 2^power.
        power: 1 in the paper's almost sure form; 0 keeps alpha.
        correct: the bias correction.
    """

    alpha: fields.Positive = 0.5
    over: fields.Positive = 1.0
    power: fields.NonNegative = 1.0
    correct: bool = True
    _last: dict[str, dict[str, list[Tensor]]] = field(default_factory=dict, init=False, repr=False)
    """By who moves: z_{k-1}, the joint point at their last turn."""
    _ahead: Remembered = field(default_factory=dict, init=False, repr=False)
    """zb_{k-1} - z_{k-1}."""
    _moves: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names = game.names(players)
        alphas = {name: self.alpha / (1.0 + self._moves.get(name, 0) / self.over) ** self.power for name in names}
        here, sample = game.point(), oracle.draw()
        gradients = oracle(game, sample, names, moves_buffers=True)
        losses = gradients.losses
        if self.correct:
            self._take_off(game, oracle, sample, gradients, here, alphas)
        with game.swapped_aside(names) as start:
            optimizers.apply(game, gradients)
            if self.correct:
                for name in names:
                    if name in self._ahead:
                        shift(game, {name: self._ahead[name]}, 1.0 - alphas[name])
                self._ahead.update(moved(game, start))
                self._last[" ".join(names)] = here
            gradients = oracle(game, oracle.draw(), names)
        start = game.point(names)
        optimizers.apply(game, gradients)
        for name in names:
            stretch(game, {name: start[name]}, alphas[name])
        self._moves.update({name: self._moves.get(name, 0) + 1 for name in names})
        return StepInfo(losses)

    def _take_off(
        self,
        game: Game,
        oracle: Oracle,
        sample: Any,
        gradients: Gradients,
        here: Point,
        alphas: dict[str, float],
    ) -> None:
        """F(z_k) - (1 - beta) F(z_{k-1}), where z_{-1} = z_0."""
        with game.at(self._last.get(" ".join(alphas), here)):
            past = oracle(game, sample, tuple(alphas))
        for name, alpha in alphas.items():
            add_(gradients[name], past[name], alpha - 1.0)

    def state_dict(self) -> dict[str, Any]:
        return {"last": dict(self._last), "ahead": dict(self._ahead), "moves": dict(self._moves)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._last, self._ahead = copied(state["last"]), copied(state["ahead"])
        self._moves = dict(state["moves"])
