"""What every objective and penalty must do; each check raises ``AssertionError`` in words."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from manypaths.errors import InvalidType
from manypaths.models.mlp import MlpCritic
from manypaths.objectives.base import Objective
from manypaths.penalties.base import Penalty
from manypaths.randomness import generator_for
from manypaths.sources.gan_sample import GanSample
from manypaths.testing.conformance import small_gan, small_source


def check_objective(objective: Objective) -> None:
    """Conformance of an objective.

    Scalars; losses and gradients finite at scores of +-1e4; gradients equal finite differences; a batch's loss is the
    mean of its samples' unless coupling is declared; zero sum where it says so; no nearby critic is better than the
    stated optimal one, and the stated divergence is positive and zero at equality.
    """
    real, fake = (torch.randn(32, generator=generator_for(i, "scores"), dtype=torch.float64) for i in (0, 1))
    for scale in (1.0, 1e4):
        for loss, gradients in _losses(objective, scale * real, scale * fake):
            assert loss.shape == (), f"a loss has shape {tuple(loss.shape)}: expected a scalar"
            assert torch.isfinite(loss), f"a loss is not finite at scores of about {scale:g}"
            assert all(torch.isfinite(g).all() for g in gradients), f"a gradient at scores of about {scale:g} is not"
    few = real[:4].clone().requires_grad_(), fake[:4].clone().requires_grad_()
    for loss in _of_scores(objective):
        torch.autograd.gradcheck(loss, few)
        alone = torch.stack([loss(real[i : i + 1], fake[i : i + 1]) for i in range(len(real))]).mean()
        same = torch.allclose(alone, loss(real, fake), rtol=0, atol=1e-12)
        assert same or objective.couples_samples, "a batch's loss is not the mean of its samples': set couples_samples"
        assert not same or not objective.couples_samples, "couples_samples is declared, and no batch shows it"
    if objective.zero_sum:
        (_, ours), (_, theirs) = _losses(objective, real, fake)
        assert torch.allclose(ours[1], -theirs[1], rtol=0, atol=1e-12), "zero_sum is declared, but the gradients differ"
    _check_divergence(objective)


def _check_divergence(objective: Objective) -> None:
    counts = torch.tensor([[1, 2, 3, 1, 1], [3, 1, 1, 2, 1]])
    p, q, points = counts[0].double() / 8, counts[1].double() / 8, torch.arange(5, dtype=torch.float64)
    try:
        best = objective.optimal_critic(p, q, points)
    except InvalidType:
        return
    at = lambda s: objective.critic(*(s.repeat_interleave(n) for n in counts))  # noqa: E731
    for phase in range(8):
        other = best.lerp(torch.sin(points + phase), 1e-3)  # 1-Lipschitz, for objectives that need such critics
        assert at(best) <= at(other) + 1e-15, "a critic beside the stated optimal one has a lower loss"
    assert objective.divergence(p, q, points) > 0, "the divergence of two distributions is not positive"
    assert objective.divergence(p, p, points).abs() < 1e-15, "the divergence of equal distributions is not zero"


def check_penalty(penalty: Penalty) -> None:
    """Conformance of a penalty.

    A pure scalar that moves no buffers; a batch's is the mean of its samples' unless coupling is declared; zero on a
    1-Lipschitz linear critic where its target is 1; differentiable at zero gradient; the same under autocast.
    """
    sample, fake = _subject(torch.float64)
    critic = small_gan(penalties=(penalty,)).players["critic"]
    calls = critic.get_buffer("calls").clone()
    first, second = penalty(critic, sample, fake), penalty(critic, sample, fake)
    assert first.shape == (), f"the penalty has shape {tuple(first.shape)}: expected a scalar"
    assert torch.equal(first, second), "the same sample gave two values: draw noise from sample.seed"
    assert torch.equal(calls, critic.get_buffer("calls")), "the penalty moved the critic's buffers"
    if not penalty.couples_samples:
        rows = [slice(i, i + 1) for i in range(len(sample))]
        alone = torch.stack([penalty(critic, sample[row], fake[row]) for row in rows]).mean()
        assert torch.allclose(alone, first), "a batch's penalty is not the mean of its samples': set couples_samples"
    if getattr(penalty, "target", None) == 1.0:
        layer = nn.Linear(2, 1, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[0.6, -0.8]], dtype=torch.float64))
        slope_one = nn.Sequential(layer, nn.Flatten(0))
        assert penalty(slope_one, sample, fake) < 1e-12, "not zero on a 1-Lipschitz linear critic"
    flat_critic = MlpCritic(hidden=(4,)).double()
    for p in flat_critic.parameters():
        nn.init.zeros_(p)
    gradients = _gradients(penalty(flat_critic, sample, fake), flat_critic)
    assert all(torch.isfinite(g).all() for g in gradients), "not differentiable at zero gradient"
    _check_precision(penalty)


def _check_precision(penalty: Penalty) -> None:
    sample, fake = _subject(torch.float32)
    critic = small_gan(dtype=torch.float32).players["critic"]
    plain = penalty(critic, sample, fake)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = penalty(critic, sample, fake)
    assert torch.equal(plain, mixed), "autocast changes the penalty: compute it with autocast disabled"
    same = map(torch.equal, _gradients(plain, critic), _gradients(mixed, critic))
    assert all(same), "autocast changes the penalty's gradients: compute it with autocast disabled"


# ---- how ----------------------------------------------------------------------------------------------------------


def _of_scores(objective: Objective) -> list[Callable[[Tensor, Tensor], Tensor]]:
    """Both losses as functions of (real, fake)."""
    sees = objective.generator_sees_real
    return [objective.critic, lambda real, fake: objective.generator(fake, real if sees else None)]


def _losses(objective: Objective, real: Tensor, fake: Tensor) -> list[tuple[Tensor, tuple[Tensor, ...]]]:
    """Both losses, each with its gradients with respect to the scores (real, fake)."""
    leaves = real.clone().requires_grad_(), fake.clone().requires_grad_()
    losses = [loss(*leaves) for loss in _of_scores(objective)]
    return [(loss.detach(), torch.autograd.grad(loss, leaves, materialize_grads=True)) for loss in losses]


def _subject(dtype: torch.dtype) -> tuple[GanSample, Tensor]:
    """A batch of 2-d points, and fakes for it."""
    fake = torch.randn(16, 2, generator=generator_for(0, "fake"), dtype=torch.float64)
    return small_source(dtype=dtype).sample(16), fake.to(dtype)


def _gradients(value: Tensor, critic: nn.Module) -> tuple[Tensor, ...]:
    """With respect to the critic's weights; none where the value has no graph."""
    return torch.autograd.grad(value, list(critic.parameters()), materialize_grads=True) if value.requires_grad else ()
