"""The contract of a game whose field has a closed form."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from manypaths.errors import InvalidType
from manypaths.games.analytic.constants import Constants
from manypaths.games.capabilities import ClosedForm
from manypaths.sources.base import Index
from manypaths.vectors import Gradients, Point


class Coordinates(nn.Module):
    """A player that is a plain vector."""

    def __init__(self, start: Tensor):
        super().__init__()
        self.weight = nn.Parameter(start.detach().clone())


class AnalyticGame(ClosedForm):
    """A finite sum F = 1/n sum_i F_i over plain vectors, in closed form and for many members at once.

    w is (..., D): the joint vector, the players' parts in order, of any number of members (the leading dimensions).
    ``index`` is (..., b) with the same leading dimensions: each member's own component functions, whose mean is meant;
    ``None`` is the mean over all n. A concrete game writes ``field``, ``values`` and ``jacobian``: a few torch
    operations each, no autograd, no loop over members, and a field in memory of its own.

    ``gradients`` goes through ``field``; ``losses`` stays differentiable.
    """

    size: int = 1
    """The number of component functions n."""

    def __init__(self, start: Mapping[str, Tensor]):
        self.players = {name: Coordinates(part) for name, part in start.items()}
        self.dims = tuple(len(part) for part in start.values())
        self._start = self.joint()

    # ---- to be written -------------------------------------------------------------------------------------------

    @abstractmethod
    def field(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        """F_B(w), the players' gradients of their own losses, (..., D)."""

    @abstractmethod
    def values(self, w: Tensor, index: Tensor | None = None) -> Tensor:
        """The players' losses at w, (..., players)."""

    @abstractmethod
    def jacobian(self, w: Tensor | None = None, index: Tensor | None = None) -> Tensor:
        """The derivative of ``field`` at w (default: the current iterate), (..., D, D)."""

    def difference(self, w: Tensor, v: Tensor, index: Tensor) -> Tensor:
        """F_B(w) - F_B(v), (..., D): what variance reduction needs of two points."""
        return self.field(w, index) - self.field(v, index)

    def solution(self) -> Tensor:
        """A point w* with F(w*) = 0, (D,)."""
        raise InvalidType(f"{type(self).__name__} has no solution in closed form: measure field_norm instead")

    def constants(self) -> Constants:
        """Strong monotonicity, Lipschitz and cocoercivity constants."""
        raise InvalidType(f"{type(self).__name__} has no monotonicity constants: its field is not globally monotone")

    # ---- derived -------------------------------------------------------------------------------------------------

    @property
    def start(self) -> Tensor:
        """The initial joint vector, (D,)."""
        return self._start.clone()

    def joint(self) -> Tensor:
        """A copy of the joint iterate as one vector, (D,)."""
        return torch.cat([p.detach() for p in self._weights()])

    def split(self, w: Tensor) -> dict[str, Tensor]:
        """The players' parts of a joint vector, as views (..., d_k)."""
        return dict(zip(self.players, w.split(self.dims, dim=-1), strict=True))

    def losses(self, sample: Index, players: tuple[str, ...]) -> dict[str, Tensor]:
        values = self._named(self.values(torch.cat(self._weights()), sample.index))
        return {name: values[name] for name in players}

    def _gradients(self, sample: Index, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        return self.evaluate(self.joint(), sample.index, names)

    def full_gradients(self, names: tuple[str, ...]) -> tuple[Gradients, int]:
        return self.evaluate(self.joint(), None, names), self.size

    def difference_gradients(self, sample: Index, point: Point, names: tuple[str, ...]) -> Gradients:
        return self.evaluate(self.joint(), sample.index, names, less=joined(point, self.players))

    @torch.no_grad()
    def evaluate(
        self, w: Tensor, index: Tensor | None, names: tuple[str, ...], *, less: Tensor | None = None
    ) -> Gradients:
        """The named players' parts of ``field`` at w (of ``difference`` from the point ``less``)."""
        found = self.field(w, index) if less is None or index is None else self.difference(w, less, index)
        parts = self.split(found)
        by_player: dict[str, list[Tensor | None]] = {
            name: [parts[name] for _ in self.parameters(name)]
            for name in names  # nothing of a frozen player
        }
        return Gradients(by_player, lambda: self._named(self.values(w, index)))

    def _weights(self) -> list[Tensor]:
        return [p for player in self.players.values() for p in player.parameters()]

    def _named(self, values: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.players, values.unbind(-1), strict=True))


def joined(point: Point, order: Iterable[str]) -> Tensor:
    """The players' vectors as one, along the last dimension: (D,), or (m, D) of a stack."""
    return torch.cat([t.detach() for name in order for t in point[name]], dim=-1)
