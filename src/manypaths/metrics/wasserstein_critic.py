"""The Independent Wasserstein Critic (Danihelka et al. 2017): a fresh critic, read on what it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from manypaths import fields
from manypaths.metrics.base import Kind, SampleMetric, SampleSets, Score, apply
from manypaths.models.dcgan import DcganCritic
from manypaths.models.mlp import MlpCritic
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.randomness import generator_for, seed_for
from manypaths.sources.gan_sample import GanSample
from manypaths.sources.pixels import to_float


@dataclass(frozen=True)
class WassersteinCritic(SampleMetric):
    """E s(x) - E s(G(z)) on held-out data, by a fresh critic s fitted with the WGAN-GP objective; lower is better.

    The critic minimises E s(G(z)) - E s(x) + weight E (||grad s||_2 - 1)^2 with Adam on the fitting set and the first
    half of the generated samples, and is read on the reference and the second half. Its convergence is reported beside
    it: the same estimate on what it was fitted to (the gap is its overfitting), and that estimate's change over the
    last quarter of the steps. It sees pixels in [-1, 1], or points, and no BatchNorm.

    The penalty is soft, so where the optimal slope is the same everywhere, as between two shifted copies of one
    distribution, the estimate is W (1 + W / (2 weight)) and not W. It orders generators; it is not a distance in units.
    """

    steps: fields.PositiveInt = 1000
    batch: fields.PositiveInt = 64
    lr: fields.Positive = 5e-4
    weight: fields.Positive = 10.0
    width: fields.PositiveInt = 32
    takes: ClassVar[tuple[Kind, ...]] = ("images", "points")
    fits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        fields.check(self)

    def measure(self, samples: SampleSets) -> list[Score]:
        assert samples.fitting is not None
        seen, unseen = samples.generated.tensor_split(2)
        critic = self.fresh(samples)
        before, fitted = self.fit(critic, samples.fitting, seen, seed=samples.seed)
        held_out = gap(critic, samples.reference, unseen)
        protocol = (
            f"fresh {type(critic).__name__}, width {self.width}, WGAN-GP, weight {self.weight:g}, {self.steps} steps, "
            f"Adam, lr {self.lr:g}, batch {self.batch}, fitted to {len(samples.fitting)} real and {len(seen)} generated"
        )
        row = lambda name, value, n, m, more: Score(name, value, None, "", n, m, protocol + more)  # noqa: E731
        fitting = len(seen), len(samples.fitting)
        return [
            row("wasserstein critic", held_out, len(unseen), len(samples.reference), "; read on others"),
            row("wasserstein critic, as fitted", fitted, *fitting, "; read on what it was fitted to"),
            row("wasserstein critic, last change", fitted - before, *fitting, "; as fitted, over the last quarter"),
        ]

    def fresh(self, samples: SampleSets) -> nn.Module:
        """A critic that nobody has trained, initialised from the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(samples.seed, "wasserstein critic", "weights"))
            if samples.kind == "points":
                return MlpCritic(shape=tuple(samples.reference.shape[1:]), hidden=(4 * self.width,) * 2)
            channels, size = samples.reference.shape[1], samples.reference.shape[-1]
            return DcganCritic(size=size, channels=channels, width=self.width, norm="none", init="torch")  # type: ignore[arg-type]

    def fit(self, critic: nn.Module, real: Tensor, fake: Tensor, *, seed: int) -> tuple[float, float]:
        """Fit in place; the estimate on these two sets after three quarters of the steps, and at the end."""
        penalty, before = GradientPenalty(weight=self.weight), 0.0
        draw = generator_for(seed, "wasserstein critic", "batches")
        optimizer = torch.optim.Adam(critic.parameters(), lr=self.lr, betas=(0.5, 0.9))
        for step in range(self.steps):
            if step == 3 * self.steps // 4:
                before = gap(critic, real, fake)
            x, y = (_floats(s[torch.randint(len(s), (self.batch,), generator=draw)]) for s in (real, fake))
            seeds = torch.randint(1 << 62, (self.batch,), generator=draw)
            sample = GanSample(x, x.new_zeros(self.batch, 0), seeds)
            with torch.enable_grad():
                loss = critic(y).mean() - critic(x).mean() + penalty(critic, sample, y)
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()
        return before, gap(critic, real, fake)


def gap(critic: nn.Module, real: Tensor, fake: Tensor) -> float:
    """E s(x) - E s(G(z)), the means in float64."""
    score = lambda data: float(apply(lambda part: critic(_floats(part)), data).mean())  # noqa: E731
    return score(real) - score(fake)


def _floats(data: Tensor) -> Tensor:
    """As the critic sees them; points in the critic's own precision."""
    return to_float(data).to(torch.get_default_dtype())
