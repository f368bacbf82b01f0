"""Where extragradient's second gradient is taken."""

from __future__ import annotations

from typing import Any, Literal

from manypaths.games.base import Game
from manypaths.oracles.base import Oracle
from manypaths.vectors import Gradients, Point

Form = Literal["joint", "opponent"]


def update_gradients(game: Game, oracle: Oracle, sample: Any, start: Point, at: Form) -> Gradients:
    """The gradients of the update, with the game standing at the extrapolated point w_{t+1/2}.

    ``"joint"``: F(w_{t+1/2}). ``"opponent"``: F_i(w_t^i, w_{t+1/2}^{-i}) for each player i of ``start``, which is w_t:
    its own weights of time t against the extrapolated ones of the others. The two are equal where no player's loss has
    curvature in its own weights, as on bilinear games.
    """
    if at == "joint":
        return oracle(game, sample, start)
    by_player, losses = {}, {}
    for name in start:
        with game.at({name: start[name]}, borrow=True):
            own = oracle(game, sample, (name,))
        by_player[name], losses[name] = own[name], own.losses[name]
    return Gradients(by_player, losses)
