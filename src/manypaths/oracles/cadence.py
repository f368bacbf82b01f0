"""When a snapshot is due."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch

CadenceName = Literal["fixed", "geometric", "loopless", "svre"]


class Cadence:
    """Decides, once per step, whether the snapshot is due; counted from the last refresh.

    With N the mean number of batches between refreshes:

    - ``fixed``: after N batches drawn (an extragradient step draws two, a 5:1 alternating step six);
    - ``geometric``: after a geometric number of batches with mean N, drawn at each refresh;
    - ``loopless``: a coin of probability 1/N per batch drawn (Kovalev et al. 2020);
    - ``svre``: a coin of probability 1/N per *step*, as the SVRE authors' code does; for extragradient that is one
      refresh per 2N batches.
    """

    def __init__(self, name: CadenceName, every: float, generator: torch.Generator):
        self.name, self.every, self.generator = name, every, generator
        self.drawn, self.seen, self.limit = 0, 0, 0.0
        self.restart()

    def restart(self) -> None:
        """Count from here: a snapshot has just been taken."""
        self.drawn, self.seen = 0, 0
        if self.name == "geometric":
            # inversion: ceil(log(1 - u) / log(1 - p)) is geometric on 1, 2, ... with mean 1 / p
            p = min(1.0, 1.0 / self.every)
            self.limit = 1.0 if p == 1.0 else max(1.0, math.ceil(math.log1p(-self._uniform()) / math.log1p(-p)))
        else:
            self.limit = self.every

    def due(self) -> bool:
        """Asked once per step."""
        new, self.seen = self.drawn - self.seen, self.drawn
        if self.name in ("fixed", "geometric"):
            return self.drawn >= self.limit
        tosses = 1 if self.name == "svre" else new
        return self._uniform() < 1.0 - (1.0 - min(1.0, 1.0 / self.every)) ** tosses

    def _uniform(self) -> float:
        return float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def state_dict(self) -> dict[str, Any]:
        state = {"drawn": self.drawn, "seen": self.seen, "limit": self.limit}
        return {**state, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn, self.seen, self.limit = state["drawn"], state["seen"], state["limit"]
        self.generator.set_state(state["generator"])
