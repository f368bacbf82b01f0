"""Whether objective, data and latents are what they are taken for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn.functional import softplus

from manypaths.errors import InputError
from manypaths.games.findings import Finding
from manypaths.sources.gan_sample import GanSample
from manypaths.sources.loader import LoaderSource
from manypaths.sources.paired import PairedSource
from manypaths.testing.audit.subject import Subject

DRAWS = 64


def objective(subject: Subject) -> Iterator[Finding]:
    """A zero-sum objective is zero-sum; a minimax generator is not secretly the non-saturating one."""
    gan = subject.gan
    if gan is None:
        return
    loss = gan.objective
    real, fake = (torch.linspace(-3, 3, 33, dtype=torch.float64) + shift for shift in (0.1, -0.2))
    fake.requires_grad_()
    claims = loss.zero_sum or "minimax" in type(loss).__name__.lower()
    if not claims:
        return
    ours = torch.autograd.grad(loss.generator(fake, real), fake)[0]
    theirs = torch.autograd.grad(loss.critic(real, fake), fake)[0]
    if torch.allclose(ours, -theirs, atol=1e-9):
        return
    saturating = torch.autograd.grad(softplus(-fake).mean(), fake)[0]
    truth = "in truth the non-saturating one" if torch.allclose(ours, saturating, atol=1e-9) else "not zero-sum"
    yield Finding(
        "not minimax",
        f"{type(loss).__name__} says it is zero-sum, and its generator loss is {truth}",
        "use E log(1 - sigma(s)) for minimax (manypaths.Minimax), or call it NonSaturating",
    )


def fits(subject: Subject) -> Iterator[Finding]:
    """Sizes, ranges and logits: what ``Training`` looks at."""
    game, source = subject.game.unwrapped, subject.source
    if not game.looks or subject.gradients is None:
        return
    declared = isinstance(source, PairedSource) and source.pixels == "unit"
    try:
        yield from game.check(subject.sample, declared=declared)
    except InputError as error:
        yield Finding("sizes", str(error), "make generator, critic and data fit", fatal=True)


def latents(subject: Subject) -> Iterator[Finding]:
    """Latents are fresh where nothing needs a finite sum."""
    source, oracle = subject.source, subject.oracle
    if source is None or isinstance(source, LoaderSource) or not isinstance(subject.sample, GanSample):
        return
    with source.rewound():
        if oracle is not None:
            source.settle(finite=oracle.needs_finite_sum)
        if oracle.needs_finite_sum if oracle is not None else source.size is not None:
            return
        drawn = [source.sample(len(subject.sample)).tensors()["latent"] for _ in range(DRAWS)]
    seen = torch.cat(drawn)
    different = len(seen.unique(dim=0))
    if different < len(seen):
        yield Finding(
            "frozen latents",
            f"{len(seen):,} draws have {different:,} different latents: the generator sees the same ones for ever",
            "draw fresh latents for every batch (latents='fresh'), unless the oracle takes snapshots",
        )
