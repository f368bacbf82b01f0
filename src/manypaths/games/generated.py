"""What a generator is fed, and what it needs, where it is looked at and not trained."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from manypaths.eager import uncompiled
from manypaths.games.base import Game
from manypaths.games.noise import seeded
from manypaths.randomness import generator_for, seed_for

LATENTS = 2048
"""From so many the BatchNorm statistics of a generator are computed."""


def inputs(game: Game, source: Any, n: int, seed: int, purpose: str) -> list[Tensor]:
    """What the generator gets for one purpose: fixed latents (n, latent), and labels (n,) where it is conditional.

    Labels have the frequencies of the data's; those of a ``"grid"`` are the classes in turn.
    """
    latents = torch.randn(n, source.latent, generator=generator_for(seed, "evaluation", purpose))
    if not getattr(game, "conditional", False):
        return [latents]
    labels = source.labels.cpu()
    if purpose == "grid":
        classes = labels.unique()
        return [latents, classes[torch.arange(n) % len(classes)]]
    drawn = torch.randint(len(labels), (n,), generator=generator_for(seed, "evaluation", purpose, "labels"))
    return [latents, labels[drawn]]


class Fed(nn.Module):
    """A generator as a function of the numbers of its inputs: one argument, however many they are."""

    def __init__(self, generator: nn.Module, given: Sequence[Tensor]):
        super().__init__()
        self.generator, self.given = generator, given

    def forward(self, index: Tensor) -> Tensor:
        weight = next(self.generator.parameters())
        rows, real = (tensor[index] for tensor in self.given), weight.is_floating_point()
        return self.generator(
            *(r.to(weight.device, weight.dtype if real and r.is_floating_point() else None) for r in rows)
        )


@contextlib.contextmanager
def modes_kept(module: nn.Module) -> Iterator[None]:
    """Train and eval modes come back, one by one: a user may keep some parts in eval mode."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def recompute_statistics(game: Game, source: Any, *, seed: int) -> None:
    """The generator's BatchNorm statistics at the weights where the game stands, from 2,048 latents of the source.

    Averaged weights have none of their own: the running ones are those of the last iterates. Neither torch's global
    generator nor the source moves. Where the statistics cannot be had, a warning says so.
    """
    game = game.unwrapped
    generator = game.players.get("generator")
    if generator is None or not _running(generator):
        if found := [name for name in game.players if name != "critic" and _running(_networks(game)[name])]:
            warnings.warn(
                f"the BatchNorm statistics of {found[0]!r} are the last iterate's and not this average's: recompute "
                "them (torch.optim.swa_utils.update_bn) before eval mode",
                stacklevel=4,
            )
        return
    if source is None or not hasattr(source, "latent"):
        warnings.warn(
            "the generator's BatchNorm statistics are the last iterate's and not this average's, which knows no source "
            "of latents: expected swapped(game, source=source), or an average that was given to Training",
            stacklevel=4,
        )
        return
    given = inputs(game, source, LATENTS, seed, "batchnorm")
    with modes_kept(generator), uncompiled(generator), seeded(seed_for(seed, "evaluation", "noise"), game.device):
        update_bn(torch.arange(LATENTS).split(256), Fed(generator, given))


def _networks(game: Any) -> dict[str, nn.Module]:
    """The players' networks, those of one member where the game is a stack of many."""
    return getattr(game, "template", game).players


def _running(module: nn.Module) -> bool:
    return any(isinstance(part, _BatchNorm) and part.running_mean is not None for part in module.modules())
