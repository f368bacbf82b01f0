"""How a game is evaluated: what changes the speed and the rounding of a field, and not what it stands for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch

from manypaths import fields
from manypaths.games.kernels import TunedConvolutions

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
        kernels: ``"tuned"`` times other routes to a convolution on the shapes it meets and keeps the fastest (see
            ``TunedConvolutions``); equal up to rounding, and different from machine to machine.
    """

    precision: Literal["full", "bfloat16"] = "full"
    lanes: Literal["auto", "off"] = "auto"
    critic_pass: Literal["auto", "joint", "separate"] = "auto"
    kernels: Literal["stock", "tuned"] = "stock"
    _tuned: TunedConvolutions = field(default_factory=TunedConvolutions, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fields.check(self)

    def prepare(self, game: Game) -> None:
        """Evaluate the game like this from now on."""
        game.execution = self

    def joins(self, device: torch.device) -> bool:
        """Whether the critic's two passes are one, where they can be."""
        return self.critic_pass == "joint" or (self.critic_pass == "auto" and device.type == "cuda")

    @contextlib.contextmanager
    def context(self, device: torch.device) -> Iterator[None]:
        """What a forward pass runs in."""
        with contextlib.ExitStack() as stack:
            if self.precision == "bfloat16":
                stack.enter_context(torch.autocast(device.type, torch.bfloat16))
            if self.kernels == "tuned":
                stack.enter_context(self._tuned)
            yield
