"""The contract of an average."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.base import Game
from manypaths.games.generated import recompute_statistics
from manypaths.optim.averaging.accumulation import accumulate_, accumulator
from manypaths.step import StepInfo
from manypaths.vectors import Point

LAST = "last"
"""What the last iterate is called beside averages, so that none may have the name."""


class Average(ABC):
    """A running average of iterates (or of extrapolated points); ``update`` is called after every step.

    Subclasses are dataclasses that write ``weight``: how far the average moves towards the newest point. The mean is
    kept in float64 whatever the dtype of the weights (``accumulation``), and rounded to theirs when it is read.
    """

    of: Literal["iterate", "extrapolated"] = "iterate"
    restart: float = 0.0
    restart_at: Literal["snapshot", "step"] = "snapshot"
    _source: Any = None
    _seed = 0

    def __init__(self) -> None:
        self.count: Any = 0
        self._mean: dict[str, list[Tensor]] | None = None
        self._dtypes: dict[str, list[torch.dtype]] = {}
        """Of the weights."""

    @abstractmethod
    def weight(self) -> float | Tensor:
        """The weight of the newest of ``self.count`` points (the first point has ``count == 1``).

        In a population whose members restarted at different steps ``count`` is a float64 tensor (m,), and so is this.
        """

    def update(self, game: Game, info: StepInfo) -> None:
        """Take in the point that the step announced."""
        newest = {n: game.parameters(n) for n in game.players} if self.of == "iterate" else info.extrapolated
        if newest is None:
            raise InvalidValue(
                f"{type(self).__name__}(of='extrapolated') needs a rule that announces extrapolated points"
            )
        other = next((n for n, mean in (self._mean or {}).items() if len(mean) != len(newest[n])), None)
        if other is not None:
            raise InvalidType(
                f"layers of {other!r} were frozen or unfrozen on the way, and this average is one of the weights that "
                "were trained before: call reset() before it goes on"
            )
        self.count = self.count + 1
        if self._mean is None:
            self._mean = {name: [accumulator(t) for t in tensors] for name, tensors in newest.items()}
            self._dtypes = {name: [t.dtype for t in tensors] for name, tensors in newest.items()}
        else:
            weight = self.weight()
            for name, mean in self._mean.items():
                accumulate_(mean, newest[name], weight)

    def point(self) -> Point:
        """The averaged weights, in the dtypes of the weights."""
        if self._mean is None:
            raise InvalidValue(f"{type(self).__name__} has no points yet: call update after a step")
        return {
            name: [t.to(dtype) for t, dtype in zip(tensors, self._dtypes[name], strict=True)]
            for name, tensors in self._mean.items()
        }

    def reset(self, members: Tensor | None = None) -> None:
        """Forget every point (of the ``members`` of a mask): the next one starts a new average."""
        if members is None:
            self.count, self._mean = 0, None
        else:
            self.count = torch.where(members, 0.0, torch.as_tensor(self.count, dtype=torch.float64))

    def knows(self, source: Any, seed: int) -> None:
        """Where latents come from for what ``swapped`` recomputes; ``Training`` tells."""
        self._source, self._seed = source, seed

    @contextlib.contextmanager
    def swapped(self, game: Game, *, source: Any = None, seed: int | None = None) -> Iterator[Game]:
        """Let the game stand at the average for a while, for evaluation.

        Averaged weights have no BatchNorm statistics of their own: the generator's are recomputed from latents of the
        source, those of the ``Training`` that this average belongs to unless others are given. Then
        ``with ema.swapped(game): generator.eval()`` is what ``manypaths evaluate`` scores. Weights and buffers come
        back, modes do not.
        """
        with game.at(self.point()):
            known = self._source if source is None else source
            recompute_statistics(game, known, seed=self._seed if seed is None else seed)
            yield game

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "mean": self._mean, "dtypes": self._dtypes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        count = state["count"]
        self.count = count.cpu() if isinstance(count, Tensor) else count
        mean = state["mean"] or {}
        self._mean = {name: [accumulator(t) for t in tensors] for name, tensors in mean.items()} or None
        # checkpoints of before have the mean in the dtypes of the weights
        dtypes = state.get("dtypes") or {name: [t.dtype for t in tensors] for name, tensors in mean.items()}
        self._dtypes = {name: list(found) for name, found in dtypes.items()}
