"""What the oracles that differentiate the field share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

from torch import Tensor, nn

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.games.base import Game
from manypaths.oracles.full_batch import Everything, FullBatch, full_gradient
from manypaths.oracles.jacobian import Products, jacobian_products, mean_products
from manypaths.oracles.mixed_derivatives import expect_mixed_derivatives
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.wrapper import Wrapper
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients, add_, scale_


@dataclass(frozen=True)
class Pair(Sample):
    """Two independent samples: v is taken at the first, the Jacobian at the second."""

    first: Any
    second: Any

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def __len__(self) -> int:
        return len(self.first) + len(self.second)


class SecondOrder(Wrapper):
    """F and products of its Jacobian with it, on the batches of ``Stochastic`` or the whole sum of ``FullBatch``.

    A product of two means needs two independent samples to be unbiased: ``draw`` returns a ``Pair`` of batches A, B;
    the products are J_B'F_A and J_B F_A, and F is the mean (F_A + F_B) / 2. Each evaluation of the field and each
    backward pass through it counts as one evaluation of *every* player, also where only some are asked for, because
    the products need the whole field.
    """

    unbiased: ClassVar[bool] = False
    couples_players: ClassVar[bool] = True
    independent: bool

    def __init__(self) -> None:
        name = type(self).__name__
        if not isinstance(self.oracle, (Stochastic, FullBatch)):
            raise InvalidType(
                f"{name}.oracle is {type(self.oracle).__name__}: expected Stochastic or FullBatch, for a product of "
                "two estimates needs independent samples and a graph"
            )
        if isinstance(self.oracle, FullBatch) and not self.independent:
            raise InvalidValue(f"{name}.independent is False over FullBatch, which is exact: expected True")
        super().__init__()

    def bind(self, game: Game) -> str | None:
        refuse_third_derivatives(game, type(self).__name__)
        expect_mixed_derivatives(game, self.source, self.batch, type(self).__name__)
        return super().bind(game)

    @property
    def _pairs(self) -> bool:
        return self.independent and isinstance(self.oracle, Stochastic)

    def draw(self) -> Any:
        first = super().draw()
        return Pair(first, self.oracle.draw()) if self._pairs else first

    def outcomes(self) -> Iterator[tuple[float, Any]]:
        single = list(self.oracle.outcomes())
        if not self._pairs:
            return iter(single)
        return ((p * q, Pair(first, second)) for (p, first), (q, second) in product(single, single))

    def plain(self, sample: Any) -> None:
        """It adjusts the field and corrects no noise: a mini-batch of its own stands beside it."""
        return

    def products(self, game: Game, sample: Any, *, forward: bool, moves_buffers: bool) -> tuple[Gradients, Products]:
        """v, which estimates F, and F, J'v, Jv (when ``forward``); all of it counted."""
        passes = 3 if forward else 2
        if isinstance(sample, Pair):
            v = game.gradients(sample.first)
            found = jacobian_products(game, sample.second, v, forward=forward, moves_buffers=moves_buffers)
            self.count(game.players, len(sample.first) + passes * len(sample.second))
            for name in game.players:
                add_(found.field[name], v[name])
                scale_(found.field[name], 0.5)
                found.field.losses[name] = 0.5 * (found.field.losses[name] + v.losses[name])
            return v, found
        if isinstance(sample, Everything):
            assert isinstance(self.oracle, FullBatch)
            equal = self.oracle.equal
            v, samples = full_gradient(game, self.oracle.chunks(), equal=equal)
            found = mean_products(
                game, self.oracle.chunks(), v, forward=forward, equal=equal, moves_buffers=moves_buffers
            )
            self.count(game.players, (1 + passes) * samples)
            return v, found
        found = jacobian_products(game, sample, None, forward=forward, moves_buffers=moves_buffers)
        self.count(game.players, passes * len(sample))
        return found.field, found


_WRONG_THRICE = (nn.modules.batchnorm._NormBase, nn.LayerNorm)
"""Torch's third derivatives of batch, instance and layer norm treat the saved statistics as constants."""


def refuse_third_derivatives(game: Game, owner: str) -> None:
    """A penalty on the critic's gradient is a derivative already; the field's Jacobian needs two more."""
    game = game.unwrapped
    if not isinstance(game, Adversarial):
        return
    penalties = [type(p).__name__ for p in game.penalties if p.per_sample]
    layers = [f"{type(m).__name__} ({n})" for n, m in game.critic.named_modules() if isinstance(m, _WRONG_THRICE)]
    if penalties and layers:
        raise InvalidType(
            f"{owner} takes third derivatives of {layers[0]} under {penalties[0]}, which torch gets wrong: expected "
            "GroupNorm, or no normalisation, in a critic with a gradient penalty"
        )
