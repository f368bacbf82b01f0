"""How a game is evaluated: what changes the speed and the rounding of a field, and not what it stands for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from manypaths import fields

if TYPE_CHECKING:
    from manypaths.games.base import Game


@dataclass(frozen=True)
class Execution:
    """The way of computing.

    Attributes:
        precision: ``"bfloat16"`` runs forward passes under autocast; weights, penalties, losses and everything the
            rules do with gradients stay as they are. A mini-batch gradient then has an error of several per cent.
        lanes: ``"auto"`` evaluates the iterate and the snapshot side by side where that is possible and of use: on two
            or more threads, each lane with its part of them, or on two streams of a GPU.
    """

    precision: Literal["full", "bfloat16"] = "full"
    lanes: Literal["auto", "off"] = "auto"

    def __post_init__(self) -> None:
        fields.check(self)

    def prepare(self, game: Game) -> None:
        """Evaluate the game like this from now on."""
        game.execution = self

    @contextlib.contextmanager
    def context(self, device: torch.device) -> Iterator[None]:
        """What a forward pass runs in."""
        with contextlib.ExitStack() as stack:
            if self.precision == "bfloat16":
                stack.enter_context(torch.autocast(device.type, torch.bfloat16))
            yield
