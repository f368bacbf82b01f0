"""A shadow copy of a game: the same game at another point, without moving any weight."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import Tensor

from manypaths.games.adversarial import Adversarial
from manypaths.games.base import Game
from manypaths.games.from_losses import FromLosses
from manypaths.games.shadow import shadow_modules
from manypaths.vectors import Point


def shadow_copy(game: Game, point: Point, buffers: Sequence[Tensor]) -> Game | None:
    """The game at another point, over the very tensors given, so that both can be evaluated side by side.

    ``None`` for a game whose losses may reach its networks in ways of their own; ``SideBySide`` tries a copy before it
    trusts it.
    """
    if not isinstance(game, (Adversarial, FromLosses)):
        return None
    copied, shadow = copy.copy(game), shadow_modules(game, point, buffers)
    copied.players = {name: shadow(module) for name, module in game.players.items()}
    played = {id(module) for module in game.players.values()}
    vars(copied).update({name: shadow(part) for name, part in vars(game).items() if id(part) in played})
    return copied
