"""Extragradient with variance reduction (Alacaoglu and Malitsky 2022)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from manypaths import fields
from manypaths.errors import InvalidType
from manypaths.games.base import Game
from manypaths.optim.base import Moments, Optimizers
from manypaths.oracles.base import Oracle
from manypaths.oracles.svrg import SVRG
from manypaths.rules.base import Rule, StepInfo, remembered
from manypaths.vectors import Gradients, lerp_


@dataclass(frozen=True)
class VarianceReducedExtragradient(Rule):
    """z_{k+1} = zb - eta (F(w) + F_B(z_{k+1/2}) - F_B(w)), with the snapshot w and zb = a z_k + (1 - a) w.

    The half-step is z_{k+1/2} = zb - eta F(w): it costs nothing, for the full gradient at the snapshot is at hand, so a
    step draws one mini-batch (Alacaoglu and Malitsky 2022, Euclidean and loopless). Needs the snapshot of an ``SVRG``
    oracle that always corrects; ``SVRG(schedule="loopless")`` takes it anew with probability p = 1 / every in each
    step, as in the paper. The losses of a step are those at z_{k+1/2}, the only new point that is evaluated.

    Attributes:
        alpha: a, how much of the iterate is kept; the paper's 1 - p by default.
        moments: what the half-step does to the optimiser's state, as in ``Extragradient``.
        keep_extrapolated: announce z_{k+1/2} in ``StepInfo.extrapolated``, for averages that want it (one copy of the
            weights).
    """

    alpha: fields.Fraction | None = None
    moments: Moments = "shared"
    keep_extrapolated: bool = False

    extrapolates: ClassVar[bool] = True  # type: ignore[override]

    def __post_init__(self) -> None:
        fields.check(self)

    def keeps_extrapolated(self) -> bool:
        return self.keep_extrapolated

    def check(self, game: Game, oracle: Oracle, optimizers: Optimizers) -> None:
        super().check(game, oracle, optimizers)
        _svrg(oracle)

    def step(
        self, game: Game, oracle: Oracle, optimizers: Optimizers, players: Iterable[str] | None = None
    ) -> StepInfo:
        names, svrg = game.names(players), _svrg(oracle)
        sample = svrg.draw()  # the first draw takes the first snapshot
        snapshot = svrg.snapshot
        assert snapshot is not None
        alpha = 1.0 - min(1.0, 1.0 / svrg.timer.every) if self.alpha is None else self.alpha
        for name in names:
            lerp_(game.parameters(name), snapshot.point[name], 1.0 - alpha)
        with game.swapped_aside(names):
            with optimizers.extrapolating(names, self.moments):
                optimizers.apply(game, Gradients(remembered({name: snapshot.mean[name] for name in names}), {}))
            extrapolated = game.point(names) if self.keep_extrapolated else None
            gradients = svrg(game, sample, names, moves_buffers=True)
        optimizers.apply(game, gradients)
        return StepInfo(gradients.losses, extrapolated=extrapolated)


def _svrg(oracle: Oracle) -> SVRG:
    """The oracle, if it has a snapshot and corrects every estimate by it."""
    if not isinstance(oracle, SVRG):
        kind = type(oracle).__name__
        raise InvalidType(f"VarianceReducedExtragradient reads a snapshot and {kind} has none: expected SVRG")
    if oracle.when != "always":
        raise InvalidType(f"VarianceReducedExtragradient needs the correction always: SVRG.when is {oracle.when!r}")
    if oracle.coefficient != 1.0:
        raise InvalidType(
            f"VarianceReducedExtragradient needs the whole correction: SVRG.coefficient is {oracle.coefficient!r}"
        )
    return oracle
