"""The sample of a GAN."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from manypaths.sources.sample import Sample


@dataclass(frozen=True)
class GanSample(Sample):
    """Real data paired with latents: component function i of the finite sum is (real_i, latent_i, seed_i).

    Attributes:
        real: data as the networks see them, (N, ...); images are float in [-1, 1].
        latent: the generator's input, (N, latent).
        seed: int64, (N,); every other random number of a loss is a function of it (``counter_uniform``).
        label: class indices, (N,), or ``None``.
    """

    real: Tensor
    latent: Tensor
    seed: Tensor
    label: Tensor | None = None
