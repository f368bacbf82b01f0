"""Whether the losses can be evaluated, are numbers, and are the same each time."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from manypaths.errors import InputError
from manypaths.games.findings import Finding
from manypaths.games.noise import tensors_in
from manypaths.games.structure import batch_coupling_layers
from manypaths.sources.finite import expect_finite
from manypaths.testing.audit.subject import Subject


def numbers(subject: Subject) -> Iterator[Finding]:
    """The data hold numbers."""
    for tensor in tensors_in(subject.sample):
        if tensor.ndim:
            try:
                expect_finite(tensor, "the samples")
            except InputError as error:
                yield Finding("data not finite", str(error), "leave such rows out or mend them", fatal=True)
                return


def evaluates(subject: Subject) -> Iterator[Finding]:
    """The losses can be evaluated; scores are one number per sample."""
    try:
        gradients = subject.game.gradients(subject.sample)
    except InputError as error:
        name = "score shape" if "the critic returned" in str(error) else "losses"
        remedy = "return scores of shape (N,) and scalar losses"
        if "MeanScore" in str(error):
            remedy = "wrap the critic, MeanScore(critic) of manypaths.models: one score per sample, the mean of its map"
        yield Finding(name, str(error), remedy, fatal=True)
        return
    except (RuntimeError, IndexError) as error:
        reason = str(error).partition("\n")[0]
        yield Finding(
            "losses", f"the losses cannot be evaluated: {reason}", "make one forward pass work first", fatal=True
        )
        return
    for name in gradients:
        if not torch.isfinite(gradients.losses[name]):
            yield Finding(
                "non-finite loss",
                f"the loss of {name} is {float(gradients.losses[name])} at the start",
                "use softplus on logits instead of log(sigmoid(...)), and a norm that is differentiable at zero",
                fatal=True,
            )


def purity(subject: Subject) -> Iterator[Finding]:
    """The same weights and the same sample give the same gradient."""
    if subject.pure > 1e-4:
        yield Finding(
            "impure",
            f"two evaluations of one sample at the same weights differ by {subject.pure:.1e}",
            "draw noise from sample.seed (counter_uniform) or torch's global generator, never from NumPy or random; "
            "keep no state outside registered buffers",
        )


def modes(subject: Subject) -> Iterator[Finding]:
    """Networks are in training mode."""
    for name, module in subject.game.players.items():
        if batch_coupling_layers(module) and not module.training:
            yield Finding(
                "eval mode", f"{name} is in eval mode: BatchNorm and dropout are frozen", f"call {name}.train()"
            )
