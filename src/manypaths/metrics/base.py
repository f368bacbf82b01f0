"""The contract of a sample metric: what it sees, what it says, and what it refuses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue
from manypaths.metrics.feature_nets import FeatureNet
from manypaths.randomness import seed_for
from manypaths.registry import name_of

Kind = Literal["images", "points"]


@dataclass(frozen=True)
class Score:
    """One number, with everything one must know to compare it.

    Attributes:
        metric: its name; what is read off a feature net carries the net's name, and only the standard Inception net's
            Frechet distance is called FID.
        value: the score.
        deviation: over splits, subsets or batches, as the protocol says; else ``None``.
        net: the feature net and its test accuracy; empty where none is used.
        samples, reference: how many generated and how many real samples the number was read from.
        protocol: the rest, in words.
    """

    metric: str
    value: float
    deviation: float | None
    net: str
    samples: int
    reference: int
    protocol: str


@dataclass(frozen=True)
class SampleSets:
    """The two sets that a metric compares; what the net says of them is computed once, when a metric first asks.

    Attributes:
        generated, reference: uint8 images (N, C, H, W), or float points (N, d).
        fitting: further real samples, disjoint from ``reference``, for metrics that fit something.
        net: the feature net, for metrics that read one.
        seed: of everything random in a metric.
        known: what was computed of the reference, by name. Sets with one reference and one net may share it.
    """

    generated: Tensor
    reference: Tensor
    fitting: Tensor | None = None
    net: FeatureNet | None = None
    seed: int = 0
    known: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        sets = {"generated": self.generated, "reference": self.reference, "fitting": self.fitting}
        for name, data in sets.items():
            if data is None:
                continue
            kind = kind_of(data, name)
            if kind != self.kind or data.shape[1:] != self.generated.shape[1:]:
                raise InvalidValue(
                    f"{name} is {data.dtype} of shape {tuple(data.shape)} and generated is {self.generated.dtype} of "
                    f"shape {tuple(self.generated.shape)}: expected the same but for the count"
                )
            if kind == "points" and not data.isfinite().all():
                raise InvalidValue(f"{name} holds points that are not finite: expected finite numbers")

    @property
    def kind(self) -> Kind:
        return kind_of(self.generated, "generated")

    @cached_property
    def generated_features(self) -> Tensor:
        """The net's features of the generated images, or the generated points themselves; (N, k) in float64."""
        return self._features(self.generated)

    @cached_property
    def generated_logits(self) -> Tensor:
        """The net's logits of the generated images, (N, classes) in float64."""
        return apply(self.trained_net.net, self.generated)

    @property
    def reference_features(self) -> Tensor:
        """The same of the real samples."""
        return self.of_reference("features", self._features)

    def of_reference(self, name: str, function: Callable[[Tensor], Tensor]) -> Tensor:
        """``function(reference)``, unless it is known."""
        if name not in self.known:
            self.known[name] = function(self.reference)
        return self.known[name]

    @property
    def trained_net(self) -> FeatureNet:
        """The feature net; its absence is an error."""
        if self.net is None:
            raise InvalidType("these samples come without a feature net: expected net=feature_net(name)")
        return self.net

    def named(self, metric: str) -> str:
        """A metric's name with that of the space in which it is read."""
        return metric if self.kind == "points" else f"{metric} ({self.trained_net.name})"

    @property
    def about_net(self) -> str:
        """The feature net in words; points need none."""
        return "" if self.kind == "points" else describe(self.trained_net)

    @property
    def space(self) -> str:
        """What distances are taken in."""
        return "points" if self.kind == "points" else "penultimate features"

    def _features(self, data: Tensor) -> Tensor:
        return data.double() if self.kind == "points" else apply(self.trained_net.net.features, data)


class SampleMetric(ABC):
    """A metric on samples: a frozen dataclass of its settings, called with ``SampleSets``, returning rows."""

    takes: ClassVar[tuple[Kind, ...]] = ("images",)
    """The kinds of samples it is defined on."""

    fits: ClassVar[bool] = False
    """Whether it fits something to real samples of its own (``SampleSets.fitting``)."""

    @property
    def least(self) -> int:
        """The smallest number of generated samples that it can be read from."""
        return 2

    def reads_net(self, kind: Kind) -> bool:
        """Whether it reads the feature net of the data set."""
        return False

    def prepare(self, kind: Kind) -> None:
        """Say before any work what does not fit, and which package or file is missing."""
        if kind not in self.takes:
            from manypaths.metrics import METRICS

            others = ", ".join(name for name, metric in METRICS.items() if kind in metric.takes)
            raise InvalidType(f"{name_of(type(self))} does not take {kind}: expected one of {others} (--metric)")

    def __call__(self, samples: SampleSets) -> list[Score]:
        self.prepare(samples.kind)
        if len(samples.generated) < self.least:
            raise InvalidValue(f"there are {len(samples.generated)} samples: expected at least {self.least}")
        if self.fits and samples.fitting is None:
            raise InvalidType(f"{name_of(type(self))} needs real samples to fit to: expected SampleSets(fitting=...)")
        return self.measure(samples)

    @abstractmethod
    def measure(self, samples: SampleSets) -> list[Score]:
        """The scores of samples that were checked."""


def kind_of(data: Tensor, name: str) -> Kind:
    """Images or points; anything else is refused."""
    if data.dtype == torch.uint8 and data.ndim == 4:
        return "images"
    if data.is_floating_point() and data.ndim == 2:
        return "points"
    found = f"{data.dtype} of shape {tuple(data.shape)}"
    raise InvalidValue(f"{name} is {found}: expected uint8 images (N, C, H, W) or float points (N, d)")


def describe(net: FeatureNet) -> str:
    """A feature net in words."""
    return f"{net.name}, test accuracy {net.accuracy:.4f}"


@torch.no_grad()
def apply(function: Callable[[Tensor], Tensor], images: Tensor, *, chunk: int = 500) -> Tensor:
    """``function`` of the images, chunk by chunk, in float64; a net that draws (dropout) always draws the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(0, "feature net", "scores"))
        return torch.cat([function(part).double() for part in images.split(chunk)])
