"""Penalties under BatchNorm and under autocast, against eager computations of their own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manypaths.games.adversarial import Adversarial
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.penalties.base import InputGradientPenalty
from manypaths.penalties.dragan import Dragan
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.penalties.lazy import Lazy
from manypaths.penalties.r1 import R1
from manypaths.penalties.r2 import R2
from manypaths.sources.gan_sample import GanSample

PENALTIES = [GradientPenalty(), GradientPenalty(sides="one"), Dragan(), Dragan(std=0.5), R1(), R2()]
WIDTHS = {"size": 8, "width": 2}


def subject(dtype) -> tuple[GanSample, torch.Tensor]:
    real = torch.rand(5, 1, 8, 8, dtype=dtype) * 2 - 1
    return GanSample(real, torch.randn(5, 4, dtype=dtype), torch.arange(5)), torch.randn(5, 1, 8, 8, dtype=dtype)


def plain(penalty: InputGradientPenalty, critic: nn.Module, s: GanSample, fake: torch.Tensor) -> torch.Tensor:
    """The same through ``autograd.grad``, as one would write it by hand."""
    points = penalty.points(s, fake).requires_grad_()
    slope = torch.autograd.grad(critic(points).sum(), points, create_graph=True)[0].flatten(1)
    if isinstance(penalty, (R1, R2)):
        return penalty.weight / 2 * slope.square().sum(1).mean()
    excess = slope.norm(dim=1) - penalty.target
    one_sided = isinstance(penalty, GradientPenalty) and penalty.sides == "one"
    return penalty.weight * (excess.clamp_min(0) if one_sided else excess).square().mean()


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_a_batchnorm_critic(penalty) -> None:
    critic, (s, fake) = DcganCritic(**WIDTHS, norm="batch").double(), subject(torch.float64)
    before = [b.clone() for b in critic.buffers()]
    assert len(before) > 0
    value = penalty(critic, s, fake)
    assert all(map(torch.equal, before, critic.buffers())), "a running statistic moved"
    expected = plain(penalty, critic, s, fake)
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-13)
    weights = list(critic.parameters())
    ours, theirs = (torch.autograd.grad(v, weights, materialize_grads=True) for v in (value, expected))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("penalty", [*PENALTIES, Lazy(R1(), every=2)], ids=repr)
def test_float32_inside_autocast(penalty) -> None:
    """Also where the fakes arrive in bfloat16, as a generator under autocast makes them."""
    critic, (s, fake) = DcganCritic(**WIDTHS, norm="none"), subject(torch.float32)
    fake = fake.bfloat16()
    value = penalty(critic, s, fake.float())
    with torch.autocast("cpu", torch.bfloat16):
        assert critic(s.real).dtype == torch.bfloat16
        inside = penalty(critic, s, fake)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, value)
    weights = list(critic.parameters())
    for a, b in zip(*(torch.autograd.grad(v, weights, materialize_grads=True) for v in (value, inside)), strict=True):
        assert torch.equal(a, b)


def test_a_whole_game_inside_autocast() -> None:
    """The difference that a penalty makes to the critic's gradient is that of float32; losses are float32."""
    generator, critic = MlpGenerator(latent=4, shape=(1, 8, 8), hidden=(16,)), MlpCritic(shape=(1, 8, 8), hidden=(16,))
    s, _ = subject(torch.float32)
    gradients = {}
    for weight in (0.0, 1.0):
        game = Adversarial(generator, critic, objective=NonSaturating(), penalties=[R1(weight)])
        exact = game.gradients(s)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = game.gradients(s)
        assert all(loss.dtype == torch.float32 for loss in mixed.losses.values())
        gradients[weight] = exact["critic"], mixed["critic"]
    for free, paid in zip(zip(*gradients[0.0], strict=True), zip(*gradients[1.0], strict=True), strict=True):
        exact, mixed = (b - a for a, b in zip(free, paid, strict=True))
        assert (exact - mixed).norm() <= 1e-6 * max(1.0, float(exact.norm()))


def test_half_precision_scores_are_widened() -> None:
    game = Adversarial(
        DcganGenerator(**WIDTHS, latent=4, norm="none"), DcganCritic(**WIDTHS, norm="none"), objective=NonSaturating()
    )
    with torch.autocast("cpu", torch.bfloat16):
        losses = game.gradients(subject(torch.float32)[0]).losses
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
