"""Objectives against float64 references, finite differences and the closed forms of their optimal critics."""

from __future__ import annotations

import pytest
import torch

from manypaths.objectives.minimax import Minimax
from manypaths.objectives.non_saturating import NonSaturating

REAL, FAKE = (torch.randn(64, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) * 3 for i in (0, 1))


def test_values_equal_the_textbook_formulas() -> None:
    sigma = torch.sigmoid
    critic = -(sigma(REAL).log().mean() + (1 - sigma(FAKE)).log().mean())
    for objective in (Minimax(), NonSaturating()):
        assert float(objective.critic(REAL, FAKE)) == pytest.approx(float(critic), rel=1e-13)
    assert float(Minimax().generator(FAKE)) == pytest.approx(float((1 - sigma(FAKE)).log().mean()), rel=1e-13)
    assert float(NonSaturating().generator(FAKE)) == pytest.approx(float(-sigma(FAKE).log().mean()), rel=1e-13)


def test_minimax_saturates_and_non_saturating_does_not() -> None:
    for objective, size in ((Minimax(), 2e-9), (NonSaturating(), -1.0)):
        score = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
        slope = torch.autograd.grad(objective.generator(score), score)[0]
        expected = -torch.sigmoid(score.detach()) if isinstance(objective, Minimax) else torch.tensor([-1.0])
        assert float(slope) == pytest.approx(float(expected), rel=1e-6)
        assert abs(float(slope)) < abs(size) * 1.2


@pytest.mark.parametrize("objective", [Minimax(), NonSaturating()])
def test_gradients_equal_finite_differences(objective) -> None:
    fake = FAKE[:4].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda f: objective.generator(f), (fake,))
    assert torch.autograd.gradcheck(lambda f: objective.critic(REAL[:4], f), (fake,))
