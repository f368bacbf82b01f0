"""Extragradient (Korpelevich 1976)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from manypaths import fields
from manypaths.games.base import Game
from manypaths.optim.base import Moments, Optimizers
from manypaths.oracles.base import Oracle
from manypaths.rules.base import Rule, StepInfo
from manypaths.rules.moves import stretch
from manypaths.rules.update_gradient import Form, update_gradients


@dataclass(frozen=True)
class Extragradient(Rule):
    """w_{t+1/2} = w_t - c eta F(w_t),  w_{t+1} = w_t - eta F(w_{t+1/2}); two step sizes: extrapolation c > 1.

    With SVRG this is SVRE; with the mini-batch oracle and Adam it is ExtraAdam (SE-A).

    Attributes:
        at: where the update gradient is taken. ``"joint"``: all players at t+1/2 (the textbook, and SVRE's
            pseudo-code). ``"opponent"``: each player at its own weights of time t against the others at t+1/2
            (SVRE's GAN code). Equal on bilinear games only.
        moments: what the half-step does to the optimiser's state. ``"shared"``: both half-steps advance it (ExtraAdam
            as published). ``"rewind"``: the half-step leaves no trace. ``"separate"``: each half-step has its own.
        fresh_sample: draw a new sample for the second half-step. On noisy bilinear games independent samples diverge
            and the same sample does not.
        extrapolation: c, how far to extrapolate relative to the update (two-step-size extragradient, Hsieh et al.
            2020, has c > 1).
        keep_extrapolated: announce w_{t+1/2} in ``StepInfo.extrapolated``, for averages that want it (one copy of the
            weights).
    """

    at: Form = "joint"
    moments: Moments = "shared"
    fresh_sample: bool = True
    extrapolation: fields.Positive = 1.0
    keep_extrapolated: bool = False

    extrapolates: ClassVar[bool] = True  # type: ignore[override]

    def __post_init__(self) -> None:
        fields.check(self)

    def keeps_extrapolated(self) -> bool:
        return self.keep_extrapolated

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names = game.names(players)
        sample = oracle.draw()
        gradients = oracle(game, sample, names, moves_buffers=True)
        losses = gradients.losses
        with game.swapped_aside(names) as start:
            with optimizers.extrapolating(names, self.moments):
                optimizers.apply(game, gradients)
            if self.extrapolation != 1.0:
                stretch(game, start, self.extrapolation)
            extrapolated = game.point(names) if self.keep_extrapolated else None
            if self.fresh_sample:
                sample = oracle.draw()
            gradients = update_gradients(game, oracle, sample, start, self.at)
        optimizers.apply(game, gradients)
        return StepInfo(losses, extrapolated=extrapolated)
