"""The audit, and whatever else is tried on a game, leaves no trace."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from manypaths.games.adversarial import Adversarial
from manypaths.models.mlp import MlpCritic
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.sources.paired import PairedSource
from manypaths.testing import audit as public
from manypaths.testing.untouched import untouched


class Noisy(nn.Module):
    """Noise of its own couples the samples, which an oracle finds out when it is bound."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.out = nn.Linear(4, 2)

    def forward(self, latent):
        return self.out(self.norm(self.linear(latent))) + 0.1 * torch.randn(len(latent), 2)


def game() -> Adversarial:
    torch.manual_seed(0)
    made = Adversarial(Noisy(), MlpCritic(hidden=(8,)), objective=NonSaturating(), couples_samples=False)
    for name in made.players:
        for p in made.parameters(name):
            p.grad = torch.full_like(p, 7.0)
    return made


def source() -> PairedSource:
    return PairedSource(torch.randn(32, 2, generator=torch.Generator().manual_seed(0)), latent=3)


def everything(of: Adversarial, data: PairedSource) -> list:
    weights = [p for name in of.players for p in of.parameters(name)]
    tensors = [*(p.detach().clone() for p in weights), *(p.grad.clone() for p in weights)]
    tensors += [b.clone() for b in of.buffers()] + [torch.get_rng_state()]
    state = data.state_dict()
    kept = [state["redraws"], state["partitions"], state["generator"].tolist(), data.latents, data.size]
    return [*(t.tolist() for t in tensors), of.couples_samples, *kept]


def test_an_audit_leaves_no_trace() -> None:
    played, data = game(), source()
    before = everything(played, data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it finds is not the matter here
        public(played, data, batch=8)
    assert everything(played, data) == before


def test_what_was_tried_leaves_no_trace() -> None:
    played, data = game(), source()
    before = everything(played, data)
    with untouched(played, data):
        torch.randn(3)
        data.redraw()
        data.sample(4)
        played.couples_samples = True
        played.gradients(data.sample(4), moves_buffers=True)
        with torch.no_grad():
            for name in played.players:
                for p in played.parameters(name):
                    p.add_(1.0)
                    p.grad = None
        assert everything_moved(played, before)
    assert everything(played, data) == before


def everything_moved(of: Adversarial, before: list) -> bool:
    return of.parameters("critic")[0].detach().tolist() != before[0]
