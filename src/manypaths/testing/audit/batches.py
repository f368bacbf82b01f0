"""What a loss makes of a batch: a mean over independent samples, a sum, or something that couples them."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from manypaths.games.findings import Finding
from manypaths.testing.audit.penalties import OF_THE_BATCH, penalty_norms
from manypaths.testing.audit.subject import Subject, length, rows, twice
from manypaths.vectors import Gradients, flat


def sums(subject: Subject) -> Iterator[Finding]:
    """A batch of which every row is there twice has the same gradient; that of a sum is twice as large."""
    whole = subject.gradients
    if whole is None or subject.noisy or (doubled := subject.at(twice(subject.sample))) is None:
        return
    grown = [name for name in whole if _share(_of(doubled, name), _of(whole, name)) > 1.2]
    if any(finding.name in OF_THE_BATCH for finding in penalty_norms(subject)):
        grown = [name for name in grown if name != "critic"]  # that is said of the penalty
    if grown:
        yield Finding(
            "sum instead of mean",
            f"doubling the batch changes the gradient of {' and '.join(grown)} as a sum over the batch does",
            "return batch means, so that learning rates do not depend on the batch size",
        )


def coupling(subject: Subject) -> Iterator[Finding]:
    """A game that says its samples are independent: the mean over half-batches is the batch's field."""
    game, sample = subject.game, subject.sample
    half = length(sample) // 2
    if game.couples_samples or not half or subject.gradients is None or subject.noisy or any(sums(subject)):
        return
    parts = [subject.at(rows(sample, start, start + half)) for start in (0, half)]
    whole = subject.gradients if 2 * half == length(sample) else subject.at(rows(sample, 0, 2 * half))
    if whole is None or parts[0] is None or parts[1] is None:
        return
    one, two = flat(parts[0]), flat(parts[1])
    scale = max(float(v.norm()) for v in (one, two, flat(whole)))  # halves may cancel each other
    error = float(((one + two) / 2 - flat(whole)).norm()) / max(scale, 1e-30)
    if error > 1e-3:
        yield Finding(
            "undeclared coupling",
            f"the batch's gradient is not the mean of its halves' ({error:.1%} apart): samples are coupled",
            "construct the game with couples_samples=True, so that snapshots use a fixed partition into mini-batches",
        )


def _of(gradients: Gradients, name: str) -> Tensor | None:
    found = [g for g in gradients[name] if g is not None]
    return flat({name: gradients[name]}) if found else None


def _share(of: Tensor | None, along: Tensor | None) -> float:
    """The component of one vector along another."""
    if of is None or along is None or of.shape != along.shape:
        return 1.0
    size = float(along.square().sum())
    return float(of @ along) / size if size > 1e-20 else 1.0
