"""The generator as it is evaluated: in eval mode, at the last iterate or at an average."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from manypaths.eager import uncompiled
from manypaths.errors import unknown_name
from manypaths.games import generated
from manypaths.games.generated import Fed, modes_kept
from manypaths.games.noise import seeded
from manypaths.optim.averaging.base import LAST
from manypaths.randomness import seed_for
from manypaths.training import Training


@contextlib.contextmanager
def evaluated(
    training: Training, which: str = LAST, *, seed: int = 0, mode: Literal["eval", "train"] = "eval"
) -> Iterator[nn.Module]:
    """The generator in eval mode (or in ``train`` mode) for a while; weights, buffers and modes come back.

    ``which`` is ``"last"`` or the name of an average, at which the game then stands (``Average.swapped``). Noise that
    the generator draws from torch's global generator is a function of the seed, and that of training does not move.
    """
    known = (LAST, *training.averages)
    if which not in known:
        raise unknown_name("average", which, known)
    game, generator = training.game, training.game.players["generator"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(modes_kept(generator))
        if which == LAST:
            stack.enter_context(game.at(game.point()))
        else:
            stack.enter_context(training.averages[which].swapped(game, source=training.oracle.source, seed=seed))
        generator.train(mode == "train")
        stack.enter_context(uncompiled(generator))  # a mode and batch sizes that training never sees
        stack.enter_context(seeded(seed_for(seed, "evaluation", "noise"), game.device))
        yield generator


def inputs(training: Training, n: int, seed: int, purpose: str) -> list[Tensor]:
    """What the generator gets for one purpose: fixed latents (n, latent), and labels (n,) where it is conditional."""
    return generated.inputs(training.game, training.oracle.source, n, seed, purpose)


@torch.no_grad()
def generate(generator: nn.Module, given: Sequence[Tensor], *, chunk: int = 256) -> Tensor:
    """G at the given ``inputs``, in chunks."""
    fed = Fed(generator, given)
    return torch.cat([fed(index) for index in torch.arange(len(given[0])).split(chunk)])
