"""A critic whose map of scores is averaged."""

from __future__ import annotations

from torch import Tensor, nn


class MeanScore(nn.Module):
    """s(x) = mean over the map of scores that ``critic(x)`` returns, (N, ...) to (N,): a patch critic as one critic.

    Each entry of the map scores a patch of the data (Isola et al. 2017). Objectives and penalties then see one score
    per sample; the mean is taken before the loss.
    """

    def __init__(self, critic: nn.Module):
        super().__init__()
        self.critic = critic

    def forward(self, *given: Tensor) -> Tensor:
        found = self.critic(*given)
        return found.reshape(len(found), -1).mean(1)
