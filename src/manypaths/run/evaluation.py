"""The generator as it is evaluated: in eval mode, at the last iterate or at an average."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from manypaths.eager import uncompiled
from manypaths.errors import unknown_name
from manypaths.randomness import generator_for
from manypaths.training import Training

LAST = "last"


@contextlib.contextmanager
def evaluated(
    training: Training, which: str = LAST, *, seed: int = 0, mode: Literal["eval", "train"] = "eval"
) -> Iterator[nn.Module]:
    """The generator in eval mode (or in ``train`` mode) for a while; weights, buffers and mode come back.

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
            given = inputs(training, 2048, seed, "batchnorm")
            update_bn(torch.arange(2048).split(256), _Fed(generator, given))
        generator.train(mode == "train")
        stack.enter_context(uncompiled(generator))  # a mode and batch sizes that training never sees
        yield generator


def inputs(training: Training, n: int, seed: int, purpose: str) -> list[Tensor]:
    """What the generator gets for one purpose: fixed latents (n, latent), and labels (n,) where it is conditional.

    Labels have the frequencies of the data's; those of a ``"grid"`` are the classes in turn.
    """
    source: Any = training.oracle.source
    latents = torch.randn(n, source.latent, generator=generator_for(seed, "evaluation", purpose))
    if not getattr(training.game, "conditional", False):
        return [latents]
    labels = source.labels.cpu()
    if purpose == "grid":
        classes = labels.unique()
        return [latents, classes[torch.arange(n) % len(classes)]]
    drawn = torch.randint(len(labels), (n,), generator=generator_for(seed, "evaluation", purpose, "labels"))
    return [latents, labels[drawn]]


@torch.no_grad()
def generate(generator: nn.Module, given: Sequence[Tensor], *, chunk: int = 256) -> Tensor:
    """G at the given ``inputs``, in chunks."""
    fed = _Fed(generator, given)
    return torch.cat([fed(index) for index in torch.arange(len(given[0])).split(chunk)])


class _Fed(nn.Module):
    """A generator as a function of the numbers of its inputs: one argument, however many they are."""

    def __init__(self, generator: nn.Module, given: Sequence[Tensor]):
        super().__init__()
        self.generator, self.given = generator, given

    def forward(self, index: Tensor) -> Tensor:
        device = next(self.generator.parameters()).device
        return self.generator(*(tensor[index].to(device) for tensor in self.given))
