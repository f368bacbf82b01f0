"""The full-batch oracle, and the full pass that snapshots share with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from manypaths import fields
from manypaths.evaluation.side_by_side import SideBySide, marked
from manypaths.games.base import Game
from manypaths.games.capabilities import combine, full_gradients
from manypaths.oracles.base import Components, Oracle, resolve_components
from manypaths.sources.base import Source
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients, add_, scale_


@dataclass(frozen=True)
class Everything(Sample):
    """The whole finite sum: no tensors, only its size."""

    size: int = 0

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def __len__(self) -> int:
        return self.size


def full_gradient(
    game: Game,
    chunks: Iterable[Sample],
    players: Iterable[str] | None = None,
    *,
    equal: bool,
    moves_buffers: bool = False,
    evaluate: Callable[..., Gradients] | None = None,
    keep: Callable[[Gradients], None] | None = None,
) -> tuple[Gradients, int]:
    """The mean field over all component functions, and the number of per-sample gradients it took.

    ``equal=False``: the component functions are samples, and a chunk counts by its length. ``equal=True``: the
    component functions are the mini-batches themselves, each counted once. ``evaluate`` averages something else than
    ``game.gradients``, with the same signature. ``keep`` is shown the gradients of every chunk, in order, before they
    enter the mean; it may round them in place.
    """
    names, total, samples = game.names(players), 0.0, 0
    if evaluate is None and not equal and (exact := full_gradients(game, names)) is not None:
        return exact
    mean: Gradients | None = None
    if evaluate is None:
        parts = SideBySide.of(game).each(chunks, names, moves_buffers=moves_buffers)
    else:
        parts = ((c, evaluate(c, names, moves_buffers=moves_buffers and last)) for c, last in marked(chunks))
    for chunk, part in parts:
        if keep is not None:
            keep(part)
        weight = 1.0 if equal else float(len(chunk))
        total, samples = total + weight, samples + len(chunk)
        if mean is None:
            mean = part
            for name in names:
                scale_(mean[name], weight)
                mean.losses[name] = part.losses[name] * weight
        else:
            for name in names:
                add_(mean[name], part[name], weight)
                mean.losses[name] = mean.losses[name] + weight * part.losses[name]
    assert mean is not None
    for name in names:
        scale_(mean[name], 1.0 / total)
        mean.losses[name] = mean.losses[name] / total
    return combine(game, mean), samples


def describe_components(resolved: str, source: Source, batch: int, game: Game) -> str | None:
    """What was decided about the component functions, in words, where it is not the obvious."""
    size = source.size or 0
    if resolved == "samples":
        return None
    left = f", {size % batch} samples left out of each partition" if size % batch else ""
    why = "the samples of a batch are coupled: " if game.couples_samples else ""
    return (
        f"{why}the finite sum runs over the {size // batch} mini-batches of {batch} of a fixed partition{left}, and "
        "the full pass uses exactly these"
    )


def component_batches(source: Source, components: str, batch: int, chunk: int) -> Iterator[Sample]:
    """The chunks of a full pass: the partition's own mini-batches where the component functions are batches."""
    if components == "batches":
        return (source.take(index) for index in source.partition(batch))
    return source.all(chunk)


@dataclass(eq=False)
class FullBatch(Oracle):
    """F(w) over the whole finite sum, in chunks: the batch method (BatchE with extragradient).

    ``batch`` is the size of the mini-batches that are the component functions of a game with coupled samples; ``chunk``
    is how many samples are evaluated at once where samples are independent (memory only, the result is the same).
    """

    serves_populations: ClassVar[bool] = True
    needs_finite_sum: ClassVar[bool] = True

    source: Source
    batch: fields.PositiveInt = 64
    chunk: fields.PositiveInt = 256
    components: Components = "auto"
    _resolved: str = field(default="samples", init=False, repr=False)

    def __post_init__(self) -> None:
        fields.check(self)
        super().__init__()
        self.source.require_finite("a full gradient")

    def bind(self, game: Game) -> str | None:
        super().bind(game)
        self._resolved = resolve_components(self.components, game, self.source, self.batch)
        return describe_components(self._resolved, self.source, self.batch, game)

    @property
    def equal(self) -> bool:
        """Whether the component functions are mini-batches, each counted once."""
        return self._resolved == "batches"

    def chunks(self) -> Iterator[Sample]:
        """The finite sum, a chunk at a time."""
        return component_batches(self.source, self._resolved, self.batch, self.chunk)

    def draw(self) -> Everything:
        self.draws += 1
        return Everything(self.source.size or 0)

    def plain(self, sample: Any) -> None:
        return None

    def outcomes(self) -> Iterator[tuple[float, Everything]]:
        yield 1.0, Everything(self.source.size or 0)

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        gradients, samples = full_gradient(game, self.chunks(), players, equal=self.equal, moves_buffers=moves_buffers)
        self.count(gradients, samples)
        return gradients
