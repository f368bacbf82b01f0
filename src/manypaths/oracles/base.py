"""The contract of an oracle: it draws samples and estimates the field at them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.base import Game
from manypaths.games.capabilities import Stacked
from manypaths.sources.base import Source
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients


class Oracle(ABC):
    """Estimates F(w) from samples, and counts what that costs.

    Concrete oracles are dataclasses over a ``source``. ``Training`` calls ``bind`` once, a rule calls ``draw`` and the
    oracle itself any number of times per step, and ``Training`` asks ``due`` once after every step.
    """

    source: Source
    batch: int
    takes_snapshots: ClassVar[bool] = False
    """Whether ``due`` is ever true."""
    needs_finite_sum: ClassVar[bool] = False
    """Whether it visits the whole finite sum, or its component functions one by one."""
    unbiased: ClassVar[bool] = True
    """Whether the estimate's mean over the draws is F(w) itself; not where an oracle adjusts the field."""
    refreshes_on_jump: bool = False
    """Whether a jump makes a snapshot due: ``Training`` then takes it as the snapshot event of that step."""
    serves_populations: ClassVar[bool] = False
    """Whether every member of a ``Population`` gets coins and snapshots of its own."""
    couples_players: ClassVar[bool] = False
    """Whether an estimate for one player evaluates every player; then all of them are counted."""

    def __init__(self) -> None:
        self.evaluations: dict[str, Any] = Counter()
        """Per-sample gradient evaluations of each player: the cost axis of every plot. In a population that of each
        member, (m,), once they differ."""
        self.draws = 0
        """Batches drawn so far."""
        self.bound: Game | None = None

    def bind(self, game: Game) -> str | None:
        """Check that this oracle can serve the game; what was decided about its component functions, in words."""
        components = getattr(game, "size", None)
        if components is not None and self.source.size not in (None, components):
            raise InvalidValue(
                f"the source has {self.source.size} component functions and the game {components}: expected as many"
            )
        if isinstance(game, Stacked) and not self.serves_populations:
            raise InvalidType(f"{type(self).__name__} plays one game at a time: expected it without a Population")
        self.bound = game
        return None

    @abstractmethod
    def draw(self) -> Sample:
        """The next sample; evaluating it twice gives equal randomness."""

    @abstractmethod
    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        """The estimate of F at the current iterate, for the named players.

        ``moves_buffers`` lets this one evaluation update BatchNorm statistics and the like; a rule sets it in
        exactly one call per step.
        """

    def outcomes(self) -> Iterator[tuple[float, Any]]:
        """Every component function that ``draw`` can hand out, with its probability (of a finite source).

        The mean of the estimate is a sum over these: unbiasedness is checked by enumeration, not by luck.
        """
        self.source.require_finite("an enumeration of the draws")
        batches = getattr(self, "_resolved", None) == "batches"
        indices = self.source.partition(self.batch) if batches else list(torch.arange(self.source.size or 0)[:, None])
        for index in indices:
            yield 1.0 / len(indices), self.source.take(index)

    def due(self) -> Tensor:
        """For whom a new snapshot is due, a mask (m,) (m = 1 outside populations); asked once per step."""
        return _NOBODY

    def take_snapshot(self, game: Game, members: Tensor | None = None) -> None:
        """Take the snapshot at the current iterate (of the ``members`` of a population, a mask)."""

    def jumped(self, game: Game, members: Tensor | None = None) -> None:
        """The iterate (of the ``members`` of a population, a mask) was moved by something else than a step: a restart
        between snapshots, a lookahead sync."""

    def plain(self, sample: Any) -> Sample | None:
        """The mini-batch whose plain gradient a draw's estimate is to be compared with; ``None`` where a draw is no
        uniform mini-batch of ``batch`` samples."""
        return sample

    @property
    def upkeep(self) -> float:
        """Gradient evaluations of a player that full passes cost per draw, on average."""
        return 0.0

    def discard(self) -> None:
        """Forget what the calls since the last draw would change: a measurement asks many times from one state."""

    def count(self, players: Iterable[str], samples: int | Tensor) -> None:
        """Count: ``samples`` per-sample gradients for each of the players (of each member, (m,))."""
        for name in players:
            self.evaluations[name] += samples

    def state_dict(self) -> dict[str, Any]:
        return {"evaluations": _copied(self.evaluations), "draws": self.draws}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.evaluations, self.draws = Counter(_copied(state["evaluations"])), state["draws"]


def _copied(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Counts that ``count`` does not write into; that of a population's members is kept on the CPU."""
    return {name: spent.clone().cpu() if isinstance(spent, Tensor) else spent for name, spent in counts.items()}


_NOBODY = torch.zeros(1, dtype=torch.bool)
Components = Literal["auto", "samples", "batches"]


def resolve_components(choice: Components, game: Game, source: Source, batch: int) -> Literal["samples", "batches"]:
    """What one component function of the finite sum is.

    A game that couples the samples of a batch has no per-sample finite sum: its component functions are the
    mini-batches of a fixed partition. Noise from torch's global generator couples them too; one evaluation of a batch
    finds it.
    """
    if not game.couples_samples and game.draws_noise(source.take(torch.arange(min(batch, source.size or batch)))):
        game.couples_samples = True
    if choice == "auto":
        choice = "batches" if game.couples_samples else "samples"
    if choice == "samples" and game.couples_samples:
        raise InvalidValue(
            "components is 'samples', but this game couples the samples of a batch (BatchNorm, dropout, noise of "
            "its own or a batch-wide loss): expected 'batches' or 'auto'"
        )
    if choice == "batches" and source.redraws_by_traversal:
        raise InvalidValue(
            "redraw is 'traversal', which counts draws of samples, and the component functions are the mini-batches of "
            "a fixed partition: expected 'refresh' or 'never'"
        )
    return choice
