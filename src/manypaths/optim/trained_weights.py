"""Which weights are trained: looked at again when layers were frozen, unfrozen or replaced on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from manypaths.errors import InvalidType
from manypaths.games.base import Game
from manypaths.games.capabilities import Stacked
from manypaths.optim.base import Optimizers


class TrainedWeights:
    """The weights of every player that require a gradient, as they were when somebody last looked."""

    def __init__(self, game: Game):
        self._game, self._known = game, _trained(game)

    def look(self, optimizers: Optimizers, remembering: Callable[[], Mapping[str, Any]]) -> None:
        """Refuse a change that somebody does not know of; accept it where everybody sees the weights anew.

        An optimiser must have the weights that are trained now. Whatever keeps vectors beside them (averages, rules
        with memory, snapshots) would pair these with other weights.

        Args:
            remembering: who keeps something, in words, and its state; asked only where weights have changed.
        """
        now = _trained(self._game)
        changed = next((n for n in now if [*map(id, now[n])] != [*map(id, self._known[n])]), None)
        if changed is None:
            return
        what = f"layers of {changed!r} were frozen, unfrozen or replaced on the way"
        if isinstance(self._game, Stacked):
            raise InvalidType(f"{what}: expected a new Population and Training from here")
        optimizers.check(self._game)
        keeps = next((who for who, state in remembering().items() if _holds_tensors(state)), None)
        if keeps is not None:
            raise InvalidType(
                f"{what}, and {keeps} keeps vectors of the weights that were trained before: expected a new Training "
                "from here (of an average, reset() before the step will do)"
            )
        self._known = now


def _trained(game: Game) -> dict[str, list[nn.Parameter]]:
    return {name: [p for p in module.parameters() if p.requires_grad] for name, module in game.players.items()}


def _holds_tensors(state: Any) -> bool:
    """Whether a state has vectors; the states of generators are bytes."""
    if isinstance(state, Tensor):
        return state.dtype is not torch.uint8
    if isinstance(state, Mapping):
        return any(map(_holds_tensors, state.values()))
    return isinstance(state, (list, tuple)) and any(map(_holds_tensors, state))
