"""Penalties on the critic's slope, tried on linear critics, whose slope is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from manypaths.games.findings import Finding
from manypaths.games.structure import batch_coupling_layers
from manypaths.sources.gan_sample import GanSample
from manypaths.testing.audit.subject import Subject, twice

OF_THE_BATCH = ("penalty of the mean score", "penalty norm per batch")
_RIGHT = "take the norm per sample over all dimensions: gradient.flatten(1).norm(dim=1)"
_SUM = "differentiate the sum of the scores, whose gradient is each sample's own: autograd.grad(scores.sum(), x)"


def penalties_and_batchnorm(subject: Subject) -> Iterator[Finding]:
    """No BatchNorm in a critic under a per-sample penalty."""
    gan = subject.gan
    if gan is None or not any(penalty.per_sample for penalty in gan.penalties):
        return
    layers = [layer for layer in batch_coupling_layers(gan.critic) if "Dropout" not in layer]
    if layers:
        yield Finding(
            "batchnorm under a penalty",
            f"{layers[0]} mixes the samples whose gradients the penalty takes one by one",
            "use a critic without BatchNorm (LayerNorm, spectral norm or none)",
        )


def penalty_norms(subject: Subject) -> Iterator[Finding]:
    """What a penalty is at a linear critic of slope a depends on a alone, and vanishes at a = 1 if anywhere."""
    gan, sample = subject.gan, subject.sample
    if gan is None or not isinstance(sample, GanSample):
        return
    for penalty in gan.penalties:
        if not penalty.per_sample:  # not a function of the critic's slope
            continue
        try:
            yield from _norm(penalty, sample)
        except (RuntimeError, IndexError, TypeError) as error:
            yield Finding(
                "penalty", f"{type(penalty).__name__} fails on a linear critic: {error}", "make it work there"
            )
            continue
        yield from _zero_gradient(penalty, sample)


def _norm(penalty: Any, sample: GanSample) -> Iterator[Finding]:
    value = _valued(penalty, sample)
    name, n = type(penalty).__name__, len(sample)
    steep, right = value(3.0), value(1.0)
    doubled = _valued(penalty, twice(sample))(3.0)
    shares = _shares(tuple(sample.real.shape[1:]))
    if abs(doubled - steep) > 1e-3 * abs(steep):
        pixels = [1.0, *shares]
        if _vanishes(value, right, [n * slope for slope in pixels]) or doubled < steep:
            what = f"{name} depends on the batch size: it takes the slope of the batch's mean score"
            yield Finding("penalty of the mean score", what, _SUM)
        elif _vanishes(value, right, [slope / math.sqrt(n) for slope in pixels]):
            what = f"{name} is {right:.3g} on a linear critic of slope 1, where it should be 0"
            yield Finding("penalty norm per batch", what, _RIGHT)
        else:
            what = f"{name} grows with the batch: {steep:.3g} for {n} samples and {doubled:.3g} for twice as many"
            yield Finding("penalty norm per batch", what, f"{_RIGHT}, and the mean over the batch")
    elif _vanishes(value, right, shares) or (_small(value, right) and _small(value, value(1.5)) and value(1e3) > 0):
        what = f"{name} is {right:.3g} on a linear critic of slope 1 and vanishes at another slope than 1"
        yield Finding("penalty norm per pixel", what, _RIGHT)


def _shares(shape: tuple[int, ...]) -> list[float]:
    """The slopes at which norms over some of the dimensions only are 1."""
    d = math.prod(shape)
    parts = [part for k in range(len(shape)) for part in itertools.combinations(shape, k)]
    return sorted({math.sqrt(d / math.prod(part)) for part in parts} - {1.0})


def _vanishes(value: Callable[[float], float], right: float, slopes: list[float]) -> bool:
    return not _small(value, right) and any(_small(value, value(slope)) for slope in slopes)


def _small(value: Callable[[float], float], found: float) -> bool:
    return abs(found) <= 1e-6 * (1.0 + abs(value(3.0)))


def _valued(penalty: Any, sample: GanSample) -> Callable[[float], float]:
    def value(slope: float) -> float:
        return float(penalty(_Slope(slope, sample.real[0]), sample, sample.real.flip(0)).detach())

    return value


def _zero_gradient(penalty: Any, sample: GanSample) -> Iterator[Finding]:
    critic = _Slope(0.0, sample.real[0])
    value = penalty(critic, sample, sample.real.flip(0))
    if not value.requires_grad:
        return
    slopes = [g for g in torch.autograd.grad(value, list(critic.parameters()), allow_unused=True) if g is not None]
    if not all(torch.isfinite(g).all() for g in slopes):
        yield Finding(
            "penalty at zero gradient",
            f"{type(penalty).__name__} has a non-finite derivative where the critic is flat",
            "guard the square root at zero (manypaths.penalties.base.norms)",
        )


class _Slope(nn.Module):
    """s(x) = slope <u, x> with u constant and of norm 1."""

    def __init__(self, slope: float, datum: Tensor):
        super().__init__()
        self.weight = nn.Parameter(torch.full_like(datum, slope / datum.numel() ** 0.5))

    def forward(self, data: Tensor, *label: Tensor) -> Tensor:
        return (data * self.weight).reshape(len(data), -1).sum(1)
