"""Steps on a GAN as the SVRE authors' public code structures them, written anew to be timed against.

Each player has forward passes and latents of its own; ``backward`` computes gradients that nobody uses; modules are
copied; arithmetic is a Python loop over tensors. Each player is differentiated at its own weights of time t against the
opponent's half point. ``Twin`` spends as many forward passes, but wastes nothing: what sharing one forward pass brings
is the ratio to it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

Tensors = list[Tensor]


class Restated:
    """SVRE (``reduced=True``) or stochastic extragradient, with plain steps.

    ``batch`` returns real data and latents.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        batch: Callable[[], tuple[Tensor, Tensor]],
        *,
        lr: float,
        reduced: bool,
    ):
        self.batch, self.lr, self.reduced = batch, lr, reduced
        self.now = (copy.deepcopy(generator), copy.deepcopy(critic))
        self.half, self.snapshot = copy.deepcopy(self.now), copy.deepcopy(self.now)
        self.means = tuple([torch.zeros_like(p) for p in module.parameters()] for module in self.now)

    def step(self) -> None:
        """w' = w - eta d(w), w <- w - eta d(w'), each with a batch of its own."""
        for half, now in zip(self.half, self.now, strict=True):
            half.load_state_dict(now.state_dict())
        self._move(self.half, self._directions(self.now, self.now))
        self._move(self.now, self._directions(self.now, self.half))

    def _directions(self, own: tuple[nn.Module, ...], opponent: tuple[nn.Module, ...]) -> tuple[Tensors, Tensors]:
        real, latent = self.batch()
        critic = self.critic_gradients(opponent[0], own[1], real, latent)
        if self.reduced:
            then = self.critic_gradients(*self.snapshot, real, latent)
            critic = [g - s + m for g, s, m in zip(critic, then, self.means[1], strict=True)]
        _, latent = self.batch()
        generator = self.generator_gradients(own[0], opponent[1], latent)
        if self.reduced:
            then = self.generator_gradients(*self.snapshot, latent)
            generator = [g - s + m for g, s, m in zip(generator, then, self.means[0], strict=True)]
        return generator, critic

    def critic_gradients(self, generator: nn.Module, critic: nn.Module, real: Tensor, latent: Tensor) -> Tensors:
        loss = softplus(-critic(real)).mean() + softplus(critic(generator(latent))).mean()
        return _backward(loss, critic, generator)

    def generator_gradients(self, generator: nn.Module, critic: nn.Module, latent: Tensor) -> Tensors:
        return _backward(softplus(-critic(generator(latent))).mean(), generator, critic)

    def _move(self, modules: tuple[nn.Module, ...], directions: tuple[Tensors, Tensors]) -> None:
        for module, direction in zip(modules, directions, strict=True):
            for parameter, step in zip(module.parameters(), direction, strict=True):
                with torch.no_grad():
                    parameter.copy_(parameter - self.lr * step)


class Twin(Restated):
    """As many forward passes, no gradient that nobody uses."""

    def critic_gradients(self, generator: nn.Module, critic: nn.Module, real: Tensor, latent: Tensor) -> Tensors:
        with torch.no_grad():
            fake = generator(latent)
        loss = softplus(-critic(real)).mean() + softplus(critic(fake)).mean()
        return list(torch.autograd.grad(loss, list(critic.parameters())))

    def generator_gradients(self, generator: nn.Module, critic: nn.Module, latent: Tensor) -> Tensors:
        loss = softplus(-critic(generator(latent))).mean()
        return list(torch.autograd.grad(loss, list(generator.parameters())))


def floor(generator: nn.Module, critic: nn.Module, real: Tensor, latent: Tensor) -> None:
    """One evaluation of the field and nothing else: a forward pass, and the two backward passes it takes."""
    fake = critic(generator(latent))
    loss = softplus(-critic(real)).mean() + softplus(fake).mean()
    torch.autograd.grad(loss, list(critic.parameters()), retain_graph=True)
    torch.autograd.grad(softplus(-fake).mean(), list(generator.parameters()))


def _backward(loss: Tensor, module: nn.Module, other: nn.Module) -> Tensors:
    module.zero_grad(), other.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]
