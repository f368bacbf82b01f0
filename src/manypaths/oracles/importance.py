"""Component functions drawn by importance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.base import Game
from manypaths.oracles.base import Oracle
from manypaths.oracles.partition import Partition
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.wrapper import Wrapper
from manypaths.randomness import generator_for
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients, add_, scale_


@dataclass(frozen=True)
class Weighted(Sample):
    """One component function and its weight 1 / (n p_i)."""

    sample: Any
    weight: float

    def tensors(self) -> dict[str, Tensor]:
        return self.sample.tensors()

    def __len__(self) -> int:
        return len(self.sample)


@dataclass(eq=False)
class Importance(Wrapper):
    """Draws component function i with probability p_i proportional to a given constant, and weighs it by 1 / (n p_i).

    Around ``Stochastic`` the estimate is F_i(w) / (n p_i), around ``SVRG`` it is
    (F_i(w) - F_i(w_S)) / (n p_i) + F(w_S): both have mean F(w). With constants proportional to the component functions'
    Lipschitz constants their mean replaces the largest one in the rates (SVRE's assume it).

    A weight is exact for one component function per draw: a sample (``batch=1``), or a mini-batch of the fixed
    partition, which is what a larger batch means here; its remainder is left out of the finite sum.

    Args:
        oracle: ``Stochastic`` or ``SVRG``.
        constants: one positive number per component function, in the order of the samples (or of the mini-batches of
            ``source.partition(batch)``).
        seed: of the draws.
    """

    needs_finite_sum: ClassVar[bool] = True  # type: ignore[override]

    oracle: Oracle
    constants: Sequence[float]
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.constants, Tensor):
            self.constants = tuple(self.constants.tolist())
        fields.check(self)
        if not isinstance(self.oracle, (Stochastic, SVRG)):
            raise InvalidType(f"Importance.oracle is {type(self.oracle).__name__}: expected Stochastic or SVRG")
        if isinstance(self.oracle, SVRG) and self.oracle.when == "helps":
            raise InvalidValue("when is 'helps', which measures uniform draws: expected 'always' inside Importance")
        if isinstance(self.oracle, SVRG) and self.oracle.coefficient != 1.0:
            raise InvalidValue(f"coefficient is {self.oracle.coefficient!r}: expected 1 inside Importance")
        if isinstance(self.oracle, SVRG) and self.oracle.schedule == "adaptive":
            raise InvalidValue("schedule is 'adaptive', which measures uniform draws: expected another one")
        super().__init__()
        self.source.require_finite("importance sampling")
        self._coins = generator_for(self.seed, "importance")
        p = torch.tensor(self.constants, dtype=torch.float64)
        size = (self.source.size or 0) // self.batch
        if len(p) != size:
            what = "samples" if self.batch == 1 else f"mini-batches of {self.batch}"
            raise InvalidValue(f"there are {len(p)} constants for {size} {what}: expected as many")
        if not (p.isfinite() & (p > 0)).all():
            raise InvalidValue(f"the smallest constant is {float(p.min())}: expected finite numbers > 0")
        if (order := getattr(self.source, "order", "independent")) != "independent":
            raise InvalidValue(f"source.order is {order!r}, which importance sampling replaces: expected 'independent'")
        self._p = p / p.sum()
        self._resolved = "samples" if self.batch == 1 else "batches"
        self._partition = Partition(self.source, self.batch)

    def bind(self, game: Game) -> str | None:
        note = super().bind(game)
        if self._resolved == "batches" and isinstance(self.oracle, Stochastic):
            left = (self.source.size or 0) % self.batch
            return f"the finite sum runs over the {len(self._p)} mini-batches of a fixed partition, {left} left out"
        if isinstance(self.oracle, SVRG) and self.batch > 1 and self.oracle._resolved != "batches":
            raise InvalidValue(
                f"SVRG.batch is {self.batch} and its component functions are samples, whose weights differ inside a "
                "batch: expected batch=1 or components='batches'"
            )
        return note

    def draw(self) -> Weighted:
        super().draw()  # takes the first snapshot and counts; which component function it proposes does not matter
        return self._weighted(int(torch.multinomial(self._p, 1, generator=self._coins)))

    def plain(self, sample: Any) -> None:
        return None

    def outcomes(self) -> Iterator[tuple[float, Weighted]]:
        for i, p in enumerate(self._p.tolist()):
            yield p, self._weighted(i)

    def __call__(
        self, game: Game, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False
    ) -> Gradients:
        estimate = super().__call__(game, sample.sample, players, moves_buffers=moves_buffers)
        for name in estimate:
            scale_(estimate[name], sample.weight)
            estimate.losses[name] = sample.weight * estimate.losses[name]
            if isinstance(self.oracle, SVRG) and self.oracle.snapshot is not None:
                add_(estimate[name], self.oracle.snapshot.mean[name], 1.0 - sample.weight)
        return estimate

    def _weighted(self, i: int) -> Weighted:
        return Weighted(self._component(i), 1.0 / (len(self._p) * float(self._p[i])))

    def _component(self, i: int) -> Sample:
        if isinstance(self.oracle, SVRG) and self.oracle._resolved == "batches":
            return self.oracle.partition.take(i)
        if self._resolved == "samples":
            return self.source.take(torch.tensor([i]))
        return self._partition.take(i)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "coins": self._coins.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._coins.set_state(state["coins"])
