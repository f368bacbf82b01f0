"""The Dirac GAN is the GAN of that name, and the Gaussian GAN what samples say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manypaths.games.adversarial import Adversarial
from manypaths.games.analytic.dirac import DiracGan
from manypaths.games.analytic.gaussian_gan import GaussianGan
from manypaths.objectives import OBJECTIVES
from manypaths.penalties.r1 import R1
from manypaths.sources.base import Index
from manypaths.sources.gan_sample import GanSample
from manypaths.vectors import flat


@pytest.mark.parametrize("objective", ["minimax", "non-saturating"])
def test_dirac_is_the_gan_of_that_name(objective) -> None:
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

        def forward(self, data):
            return self.weight * data.flatten()

    point, critic = nn.Linear(1, 1, bias=False).double(), Linear()
    nn.init.constant_(point.weight, -1.3)
    gan = Adversarial(point, critic, objective=OBJECTIVES[objective](), penalties=[R1(weight=0.2)])
    sample = GanSample(torch.zeros(3, 1).double(), torch.ones(3, 1).double(), torch.arange(3))
    dirac = DiracGan(objective, r1=0.2, start=(0.7, -1.3))
    theirs, ours = gan.gradients(sample), dirac.gradients(Index(torch.zeros(1, dtype=torch.int64)))
    assert (flat(theirs) - flat(ours)).abs().max() < 1e-15
    for name in gan.players:
        assert float(theirs.losses[name] - ours.losses[name]) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("objective", ["minimax", "non-saturating", "wasserstein"])
def test_r1_gives_the_dirac_gan_its_curvature(objective) -> None:
    slope, zero = 1.0 if objective == "wasserstein" else 0.5, torch.zeros(2, dtype=torch.float64)
    for gamma in (0.0, 0.6):
        found = torch.linalg.eigvals(DiracGan(objective, r1=gamma).jacobian(zero))
        turn = (slope**2 - gamma**2 / 4) ** 0.5
        assert found.real.tolist() == pytest.approx([gamma / 2] * 2, abs=1e-15)
        assert sorted(found.imag.tolist()) == pytest.approx([-turn, turn], abs=1e-15)


def test_the_gaussian_gan_against_samples() -> None:
    game = GaussianGan(mean=1.0, deviation=2.0, start=(0.3, -0.2, 0.5, 0.4))
    z = torch.randn(200_000, dtype=torch.float64)
    u, v, a, b = game.start.tolist()
    score = lambda x: (u * x**2 + v * x).mean()  # noqa: E731
    fake, real = score(a * z + b), score(2.0 * z.flip(0) + 1.0)
    assert game.values(game.start).tolist() == pytest.approx([float(fake - real), float(-fake)], abs=0.02)
    assert game.field(torch.tensor([0.0, 0.0, -2.0, 1.0], dtype=torch.float64)).abs().max() == 0
