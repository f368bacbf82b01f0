"""In which order the component functions of a finite sum are drawn."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

OrderName = Literal["independent", "shuffled", "flip-flop"]


class Order:
    """Numbers 0 .. count-1 in the order of their draws, the same however they are cut into batches.

    - ``independent``: with replacement, the sampling under which variance reduction is unbiased;
    - ``shuffled``: a permutation per epoch, every number once (random reshuffling; SEG-RR's);
    - ``flip-flop``: a permutation, then the same one backwards, then another (SEG-FFA's). Where the batch divides the
      count, the mini-batches of the way back are those of the way there.
    """

    def __init__(self, name: OrderName, count: int):
        self.name, self.count = name, count
        self.ahead: Tensor | None = None
        """Of a permutation: what is not drawn yet."""

    def next(self, n: int, generator: torch.Generator) -> Tensor:
        """The next ``n`` numbers."""
        if self.name == "independent":
            return torch.randint(self.count, (n,), generator=generator)
        while self.ahead is None or len(self.ahead) < n:
            rest = torch.empty(0, dtype=torch.int64) if self.ahead is None else self.ahead
            epoch = torch.randperm(self.count, generator=generator)
            back = [epoch.flip(0)] if self.name == "flip-flop" else []
            self.ahead = torch.cat([rest, epoch, *back])
        index, self.ahead = self.ahead[:n], self.ahead[n:].clone()
        return index
