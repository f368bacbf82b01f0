"""What each scale of ``svre_mnist`` plays."""

from __future__ import annotations

from dataclasses import dataclass

from manypaths.studies.svre_mnist.runs import ARMS, EVERY, PUBLISHED, TINY, Setup, on_mnist, on_mnist_14, steps_for

TRACKED = ("SVRE-A", "BatchE-A")
"""The arm that is held against the full-batch method, and this one."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a scale plays.

    Attributes:
        setup: data, networks, scores.
        arms: by name.
        seeds: how many.
        batch: samples in a mini-batch.
        steps: updates at which arms are compared per update.
        cost: mini-batch gradients of each player at which they are compared at equal cost; every arm plays on until it
            has reached both, but for the full-batch method.
        full_steps: updates of the full-batch method.
        every, tracking: updates between marks; between those of the full-batch method and the arm that tracks it.
        published: play the paper's own recipes.
    """

    setup: Setup
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: int
    batch: int
    steps: int
    cost: float
    full_steps: int = 0
    every: int
    tracking: int = 0
    published: bool = False

    @property
    def parts(self) -> int:
        """Mini-batches in the finite sum."""
        return self.setup.images // self.batch

    @property
    def marks(self) -> list[int]:
        """Numbers of updates at which noise is compared."""
        return list(range(self.every, self.steps + 1, self.every))

    def steps_of(self, name: str) -> int:
        if name == "BatchE-A":
            return self.full_steps
        return steps_for(EVERY[name], parts=self.parts, least=self.steps, cost=self.cost)


SIZES = {
    "smoke": Size(
        setup=TINY,
        seeds=2,
        batch=8,
        steps=4,
        cost=8.0,
        full_steps=2,
        every=2,
        tracking=1,
    ),
    "laptop": Size(
        setup=on_mnist(images=2000, generator=32, critic=16, net="mnist-cnn", samples=2000),
        seeds=3,
        batch=50,
        steps=1000,
        cost=2500.0,
        full_steps=200,
        every=100,
        tracking=50,
    ),
    # Small networks and pictures, all images, and the paper's number of updates.
    "horizon": Size(
        setup=on_mnist_14(generator=32, critic=16, samples=2000),
        arms=tuple(EVERY),
        seeds=3,
        batch=50,
        steps=20_000,
        cost=40_000.0,
        full_steps=200,
        every=500,
        tracking=50,
    ),
    "paper": Size(
        setup=on_mnist(images=60_000, generator=128, critic=64, net="mnist-mlp", samples=5000),
        arms=tuple(PUBLISHED),
        seeds=3,
        batch=50,
        steps=20_000,
        cost=40_000.0,
        every=500,
        published=True,
    ),
}
