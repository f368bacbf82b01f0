"""When a snapshot is due."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from manypaths.randomness import Coins

ScheduleName = Literal["fixed", "geometric", "loopless", "svre", "adaptive"]


class SnapshotSchedule:
    """Decides, once per step, for whom the snapshot is due; counted from the last refresh.

    With N the mean number of batches between refreshes:

    - ``fixed``: after N batches drawn (an extragradient step draws two, a 5:1 alternating step six);
    - ``geometric``: after a geometric number of batches with mean N, drawn at each refresh;
    - ``loopless``: a coin of probability 1/N per batch drawn (Kovalev et al. 2020);
    - ``svre``: a coin of probability 1/N per *step*, as the SVRE authors' code does; for extragradient that is one
      refresh per 2N batches;
    - ``adaptive``: after N batches at the latest; whoever measures the snapshot's worth decides what comes earlier.

    Every member of a population has its own coins and ages; a run alone is a population of one.
    """

    def __init__(self, name: ScheduleName, every: float, coins: Coins, *, members: int = 1):
        self.name, self.every, self.coins = name, every, coins
        self.drawn = torch.zeros(members, dtype=torch.int64)
        """Batches drawn since the last refresh, (m,)."""
        self._seen = torch.zeros(members, dtype=torch.int64)
        self._limit = torch.full((members,), float(every), dtype=torch.float64)
        self.restart()

    def advance(self) -> None:
        """A batch was drawn."""
        self.drawn += 1

    def restart(self, members: Tensor | None = None) -> None:
        """Count from here: a snapshot (of the ``members`` of a mask) has just been taken."""
        chosen = torch.ones_like(self.drawn, dtype=torch.bool) if members is None else members
        self.drawn[chosen] = 0
        self._seen[chosen] = 0
        if self.name == "geometric":
            self._limit = torch.where(chosen, self._geometric(chosen), self._limit)

    def due(self) -> Tensor:
        """Asked once per step: a mask (m,)."""
        if self.name in ("fixed", "geometric", "adaptive"):
            return self.drawn >= self._limit
        tosses = torch.ones_like(self.drawn) if self.name == "svre" else self.drawn - self._seen
        self._seen = self.drawn.clone()
        return self.coins.next() < 1.0 - (1.0 - min(1.0, 1.0 / self.every)) ** tosses.double()

    def _geometric(self, members: Tensor) -> Tensor:
        """By inversion: ceil(log(1 - u) / log(1 - p)) is geometric on 1, 2, ... with mean 1 / p."""
        p = torch.tensor(min(1.0, 1.0 / self.every), dtype=torch.float64)
        if p == 1.0:
            return torch.ones_like(self._limit)
        return (torch.log1p(-self.coins.next(members)) / torch.log1p(-p)).ceil().clamp_(min=1.0)

    def state_dict(self) -> dict[str, Any]:
        counts = {"drawn": self.drawn.clone(), "seen": self._seen.clone(), "limit": self._limit.clone()}
        return {**counts, "coins": self.coins.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn, self._seen, self._limit = (state[key].clone().cpu() for key in ("drawn", "seen", "limit"))
        self.coins.load_state_dict(state["coins"])
