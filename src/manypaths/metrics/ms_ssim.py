"""Diversity as the mean similarity of pairs of generated images (Odena et al. 2017; *Many Paths to Equilibrium*)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidValue
from manypaths.metrics.base import SampleMetric, SampleSets, Score
from manypaths.randomness import generator_for

_BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest level first
_MARGIN = 6  # the Gaussian window of 11 pixels is reflected by 5 at the border, which needs 6


@dataclass(frozen=True)
class MsSsim(SampleMetric):
    """MS-SSIM (Wang et al. 2003) of all pairs in a batch of generated images; lower is more diverse, 1 is one image.

    ``samples`` images, drawn without replacement, make samples (samples - 1) / 2 pairs; mean and deviation over
    ``batches`` such draws. Small images have room for fewer than the five levels: three at 28 and 32 pixels, whose
    exponents are Wang's first three, scaled to sum to 1.
    """

    samples: fields.PositiveInt = 64
    batches: fields.PositiveInt = 5

    def __post_init__(self) -> None:
        fields.check(self)
        if self.samples < 2:
            raise InvalidValue(f"ms-ssim.samples is {self.samples}: expected at least 2, for a pair needs two")

    @property
    def least(self) -> int:
        return self.samples

    def measure(self, samples: SampleSets) -> list[Score]:
        images, betas = samples.generated, level_exponents(samples.generated)
        generator = generator_for(samples.seed, "ms-ssim")
        means = torch.tensor(
            [
                mean_similarity(images[torch.randperm(len(images), generator=generator)[: self.samples]], betas)
                for _ in range(self.batches)
            ],
            dtype=torch.float64,
        )
        pairs = self.samples * (self.samples - 1) // 2
        protocol = (
            f"all {pairs} pairs of {self.samples} images, {self.batches} batches, mean and deviation over them; "
            f"{len(betas)} levels, exponents {', '.join(f'{b:.4f}' for b in betas)}, Gaussian window 1.5 (11 pixels)"
        )
        deviation = float(means.std(correction=0))
        return [Score("ms-ssim", float(means.mean()), deviation, "", len(images), 0, protocol)]


def level_exponents(images: Tensor) -> tuple[float, ...]:
    """The exponents of as many levels as the smaller side has room for, each level half as large as the last."""
    side = min(images.shape[-2:])
    levels = sum(side >> level >= _MARGIN for level in range(len(_BETAS)))
    if not levels:
        raise InvalidValue(f"images of {side} pixels are too small for ms-ssim: expected at least {_MARGIN}")
    kept = _BETAS[:levels]
    return tuple(beta / sum(kept) for beta in kept)


@torch.no_grad()
def mean_similarity(images: Tensor, betas: tuple[float, ...]) -> float:
    """The mean MS-SSIM of all pairs of uint8 images, in float32 (ten times faster, equal to 1e-6), by torchmetrics."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    one, other = torch.triu_indices(len(images), len(images), offset=1)
    total, unit = 0.0, images.float() / 255
    for i, j in zip(one.split(64), other.split(64), strict=True):
        # kernel_size only passes a check on the image size: the Gaussian window's width follows from its deviation
        total += multiscale_structural_similarity_index_measure(
            unit[i], unit[j], kernel_size=5, betas=betas, data_range=1.0, reduction="sum"
        ).item()
    return total / len(one)
