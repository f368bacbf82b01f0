"""The audit finds each planted defect, alone, and is silent on healthy GANs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from manypaths.games.adversarial import Adversarial
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.layers import SelfAttention
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.base import Objective
from manypaths.objectives.minimax import Minimax
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.penalties.base import Penalty, input_gradients
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.penalties.r1 import R1
from manypaths.sources.paired import PairedSource
from manypaths.testing.audit import audit

IMAGES = torch.randint(256, (64, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def source(**options) -> PairedSource:
    return PairedSource(IMAGES, torch.arange(64) % 10, latent=4, **options)


def generator(**options) -> nn.Module:
    return DcganGenerator(size=8, latent=4, width=4, norm="none", **options)


def critic() -> nn.Module:
    return DcganCritic(size=8, width=4, norm="none")


def gan(generator_=None, critic_=None, objective=None, penalties=(), **options) -> Adversarial:
    nets = generator_ or generator(), critic_ or critic()
    return Adversarial(*nets, objective=objective or NonSaturating(), penalties=penalties, **options)


class Wrapped(nn.Module):
    """A critic with something done to its input or its scores."""

    def __init__(self, before=lambda x: x, after=lambda s: s):
        super().__init__()
        self.inner, self.before, self.after = critic(), before, after

    def forward(self, x):
        return self.after(self.inner(self.before(x)))


class FakeMinimax(Objective):
    zero_sum = True

    def critic(self, real, fake):
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake, real=None):
        return softplus(-fake).mean()


class SumLoss(FakeMinimax):
    zero_sum = False

    def critic(self, real, fake):
        return softplus(-real).sum() + softplus(fake).sum()

    def generator(self, fake, real=None):
        return softplus(-fake).sum()


class PixelNorm(Penalty):
    def __call__(self, critic, sample, fake):
        gradient = input_gradients(critic, sample.real)
        return 10 * (gradient.norm(dim=1) - 1).square().mean()


class BatchNormed(Penalty):
    def __call__(self, critic, sample, fake):
        return 10 * (input_gradients(critic, sample.real).norm() - 1).square()


class NanNorm(Penalty):
    def __call__(self, critic, sample, fake):
        gradient = input_gradients(critic, sample.real).flatten(1)
        return 10 * (gradient.square().sum(1).sqrt() - 1).square().mean()


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = generator()

    def forward(self, z):
        return self.inner(z).detach()


class WithUnused(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.spare = critic(), nn.Linear(3, 3)

    def forward(self, x):
        return self.inner(x)


class Multiplied(WithUnused):
    """Its spare layer is asked, and the answer multiplied by zero."""

    def forward(self, x):
        return self.inner(x) + 0.0 * self.spare(x.flatten(1)[:, :3]).sum(1)


def sharing() -> Adversarial:
    one, two = MlpGenerator(latent=4, shape=(1, 8, 8), hidden=(64,)), MlpCritic(shape=(1, 8, 8), hidden=(64,))
    two.layers[0].bias = one.layers[0].bias
    return Adversarial(one, two, objective=NonSaturating())


def numpy_noise(x):
    return x + torch.from_numpy(np.random.default_rng().normal(size=x.shape)).float()


def batchnorm_under_penalty() -> Adversarial:
    with pytest.warns(UserWarning, match="use a critic without BatchNorm"):
        return gan(critic_=DcganCritic(size=8, width=4, norm="batch"), penalties=[R1()])


PLANTED = {
    "score shape": lambda: (gan(critic_=Wrapped(after=lambda s: s[:, None])), source()),
    "impure": lambda: (gan(critic_=Wrapped(before=numpy_noise)), source()),
    "undeclared coupling": lambda: (gan(critic_=Wrapped(before=lambda x: x - x.mean(0))), source()),
    "sum instead of mean": lambda: (gan(objective=SumLoss()), source()),
    "batchnorm under a penalty": lambda: (batchnorm_under_penalty(), source()),
    "penalty norm per pixel": lambda: (gan(penalties=[PixelNorm()]), source()),
    "penalty norm per batch": lambda: (gan(penalties=[BatchNormed()], couples_samples=True), source()),
    "penalty at zero gradient": lambda: (gan(penalties=[NanNorm()]), source()),
    "not minimax": lambda: (gan(objective=FakeMinimax()), source()),
    "shared parameters": lambda: (sharing(), source()),
    "unused parameters": lambda: (gan(critic_=WithUnused()), source()),
    "zero gradient": lambda: (gan(critic_=Multiplied()), source()),
    "no gradient": lambda: (gan(generator_=Detached()), source()),
    "data range": lambda: (gan(), PairedSource(IMAGES.float(), latent=4)),
    "probabilities as logits": lambda: (gan(critic_=nn.Sequential(critic(), nn.Sigmoid())), source()),
}


@pytest.mark.parametrize("defect", PLANTED)
def test_each_planted_defect_is_found_and_nothing_else(defect) -> None:
    found = audit(*PLANTED[defect](), measure=False)
    assert [finding.name for finding in found.findings] == [defect]
    assert found.findings[0].remedy in str(found)


def spectral() -> Adversarial:
    net = critic()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.utils.parametrizations.spectral_norm(layer)
    return gan(critic_=net, objective=Minimax(), penalties=[GradientPenalty()])


class ConditionalCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.linear = nn.Embedding(10, 8), nn.Linear(64 + 8, 1)

    def forward(self, x, label):
        return self.linear(torch.cat([x.flatten(1), self.embed(label)], 1)).flatten()


class ConditionalGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.linear = nn.Embedding(10, 8), nn.Linear(4 + 8, 64)

    def forward(self, z, label):
        return self.linear(torch.cat([z, self.embed(label)], 1)).tanh().reshape(-1, 1, 8, 8)


def test_a_gradient_that_is_zero_at_the_start_is_not_one_that_is_missing() -> None:
    """Self-attention's gamma starts at 0: its queries, keys and values wait for it, and are used all the same."""
    layers = nn.Conv2d(1, 8, 4, 2), SelfAttention(8), nn.Flatten(), nn.Linear(72, 1), nn.Flatten(0)
    game, data = gan(critic_=nn.Sequential(*layers)), source()
    names = [name for name, _ in game.critic.named_parameters()]
    pairs = zip(names, game.gradients(data.sample(8))["critic"], strict=True)
    waiting = [name for name, gradient in pairs if gradient is not None and not gradient.any()]
    assert waiting == [f"1.{layer}.{kind}" for layer in ("query", "key", "value") for kind in ("weight", "bias")]
    assert audit(game, data, measure=False).findings == ()
    (unused,) = audit(gan(critic_=WithUnused()), source(), measure=False).findings
    assert unused.what == "2 parameters of critic get no gradient, the first is spare.weight"
    (zero,) = audit(gan(critic_=Multiplied()), source(), measure=False).findings
    assert zero.what.startswith("2 parameters of critic have a gradient that is exactly zero, at these weights and at")
    flat = critic()
    nn.init.zeros_(list(flat.parameters())[-1])
    nn.init.zeros_(list(flat.parameters())[-2])
    assert audit(gan(critic_=flat), source(), measure=False).findings == (), "the generator waits for the critic"


HEALTHY = {
    "batchnorm": lambda: gan(DcganGenerator(size=8, latent=4, width=4), DcganCritic(size=8, width=4)),
    "spectral norm": spectral,
    "conditional": lambda: gan(ConditionalGenerator(), ConditionalCritic(), penalties=[R1()], conditional=True),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_gans_have_no_findings_and_are_left_as_they_were(name) -> None:
    game, data = HEALTHY[name](), source()
    before = {k: v.clone() for player in game.players.values() for k, v in player.state_dict().items()}
    state = data.state_dict()["generator"]
    page = audit(game, data, batch=16)
    assert page.findings == ()
    after = {k: v for player in game.players.values() for k, v in player.state_dict().items()}
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert torch.equal(state, data.state_dict()["generator"])
    text = str(page)
    assert text.startswith("0 findings")
    assert "variance ratio SVRG / mini-batch, 5 SGD steps" in text
    for rule in ("simultaneous", "alternating", "extragradient"):
        assert f"largest stable SGD step of {rule}" in text
