"""How one evaluation of a game is carried out, as far as a game must know."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Literal

import torch

from manypaths.vectors import Gradients


class Computation:
    """By torch, as it stands. ``manypaths.evaluation.Execution`` offers precision, order in memory, compilation.

    ``game`` is always a ``Game``, which imports this file.
    """

    concurrent: Literal["auto", "off"] = "auto"
    """Whether two evaluations may run at once (``SideBySide``)."""
    critic_pass: Literal["auto", "joint", "separate"] = "auto"
    """Whether a critic sees real and fake data in one pass (``joins``)."""
    fixed_addresses: bool = False
    """Whether weights must stay in the memory in which they lie (CUDA graphs)."""

    def context(self, game: Any) -> contextlib.AbstractContextManager[None]:
        """What a forward pass of the game runs in."""
        return contextlib.nullcontext()

    def arranged(self, sample: Any) -> Any:
        """The sample in the order in memory that the networks read."""
        return sample

    def joins(self, device: torch.device) -> bool:
        """Whether a critic sees real and fake data in one pass, where none of its layers couples samples."""
        return device.type == "cuda"

    def gradients(self, game: Any, sample: Any, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        """F(w; sample) of a game that is differentiated by autograd."""
        with game.repeating(sample):
            return game.evaluation(sample, names, moves_buffers)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing was chosen, so nothing comes back."""
