"""The generator as it is evaluated: in eval mode, at the last iterate or at an average."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from manypaths.errors import unknown_name
from manypaths.randomness import generator_for
from manypaths.training import Training

LAST = "last"


@contextlib.contextmanager
def evaluated(training: Training, which: str = LAST, *, latent: int, seed: int = 0) -> Iterator[nn.Module]:
    """The generator in eval mode for a while; weights, buffers and mode come back.

    ``which`` is ``"last"`` or the name of an average; BatchNorm statistics of averaged weights are recomputed from
    2,048 latents, because they are nobody's running average.
    """
    known = (LAST, *training.averages)
    if which not in known:
        raise unknown_name("average", which, known)
    game, generator = training.game, training.game.players["generator"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(game.at(game.point()))
        for module in generator.modules():  # one by one: a user may keep some of them in eval mode
            stack.callback(setattr, module, "training", module.training)
        if which != LAST:
            stack.enter_context(training.averages[which].swapped(game))
            update_bn([z.to(game.device) for z in latents(2048, latent, seed, "batchnorm").split(256)], generator)
        generator.eval()
        yield generator


def latents(n: int, latent: int, seed: int, purpose: str) -> Tensor:
    """Fixed latents for one purpose, (n, latent)."""
    return torch.randn(n, latent, generator=generator_for(seed, "evaluation", purpose))


@torch.no_grad()
def generate(generator: nn.Module, z: Tensor, *, chunk: int = 256) -> Tensor:
    """G(z) in chunks."""
    device = next(generator.parameters()).device
    return torch.cat([generator(part.to(device)) for part in z.split(chunk)])
