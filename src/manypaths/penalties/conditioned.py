"""A conditional network with its labels filled in."""

from __future__ import annotations

from torch import Tensor, nn


class Conditioned(nn.Module):
    """A critic as a function of the data alone, so that penalties need not know about labels."""

    def __init__(self, critic: nn.Module, label: Tensor):
        super().__init__()
        self.critic, self.label = critic, label

    def forward(self, data: Tensor) -> Tensor:
        return self.critic(data, self.label)

    def rows(self, index: Tensor) -> Conditioned:
        """The same critic for some samples of the batch."""
        return Conditioned(self.critic, self.label[index])
