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
from torch.nn.utils import parametrize

from manypaths.objectives.base import Objective

Tensors = list[Tensor]


class Restated:
    """SVRE (``reduced=True``) or stochastic extragradient, with plain steps.

    ``batch`` returns real data and latents.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        objective: Objective,
        batch: Callable[[], tuple[Tensor, Tensor]],
        *,
        lr: float,
        reduced: bool,
    ):
        self.objective, self.batch, self.lr, self.reduced = objective, batch, lr, reduced
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
        loss = self.objective.critic(critic(real), critic(generator(latent)))
        return _backward(loss, critic, generator)

    def generator_gradients(self, generator: nn.Module, critic: nn.Module, latent: Tensor) -> Tensors:
        return _backward(self.objective.generator(critic(generator(latent))), generator, critic)

    def full_pass(self, chunks: list[tuple[Tensor, Tensor]]) -> None:
        """The mean gradient at the iterate, each chunk with passes of its own for either player."""
        generator, critic = self.now
        self.means = tuple([torch.zeros_like(p) for p in module.parameters()] for module in self.now)
        for real, latent in chunks:
            found = self.generator_gradients(generator, critic, latent), self.critic_gradients(*self.now, real, latent)
            for mean, gradients in zip(self.means, found, strict=True):
                for m, g in zip(mean, gradients, strict=True):
                    m += g / len(chunks)

    def _move(self, modules: tuple[nn.Module, ...], directions: tuple[Tensors, Tensors]) -> None:
        for module, direction in zip(modules, directions, strict=True):
            for parameter, step in zip(module.parameters(), direction, strict=True):
                with torch.no_grad():
                    parameter.copy_(parameter - self.lr * step)


class Shadow(Restated):
    """As many forward passes, no gradient that nobody uses."""

    def critic_gradients(self, generator: nn.Module, critic: nn.Module, real: Tensor, latent: Tensor) -> Tensors:
        with torch.no_grad():
            fake = generator(latent)
        loss = self.objective.critic(critic(real), critic(fake))
        return list(torch.autograd.grad(loss, list(critic.parameters())))

    def generator_gradients(self, generator: nn.Module, critic: nn.Module, latent: Tensor) -> Tensors:
        loss = self.objective.generator(critic(generator(latent)))
        return list(torch.autograd.grad(loss, list(generator.parameters())))


def floor(generator: nn.Module, critic: nn.Module, objective: Objective, real: Tensor, latent: Tensor) -> None:
    """One evaluation of the field and nothing else: a forward pass, and the two backward passes it takes."""
    with parametrize.cached():
        fake = critic(generator(latent))
        loss = objective.critic(critic(real), fake)
        torch.autograd.grad(loss, list(critic.parameters()), retain_graph=True)
        torch.autograd.grad(objective.generator(fake), list(generator.parameters()))


def _backward(loss: Tensor, module: nn.Module, other: nn.Module) -> Tensors:
    module.zero_grad(), other.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]
