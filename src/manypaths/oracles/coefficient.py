"""How much of the snapshot's correction SVRG takes: alpha-SVRG (Yin et al. 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from manypaths.errors import InvalidValue
from manypaths.vectors import Gradients, add_, copied, rows

Choice = float | Literal["optimal", "linear"]
Grain = Literal["player", "tensor"]
Means = Mapping[str, Sequence["Tensor | None"]]
Tensors = Sequence["Tensor | None"]

FORGETS = 0.1
"""Weight of the newest batch in the means behind alpha*: it falls with the snapshot's age, and must be followed."""
START = 0.75
"""alpha_0 of the published linear decay, if none is given: the larger of the two that were published."""


class Coefficient:
    """alpha in d_B(w) = F_B(w) - alpha (F_B(w_S) - F(w_S)); any that does not depend on B leaves d unbiased.

    - a number: the same all the time; 1 is SVRG;
    - ``"linear"``: alpha_0 (1 - t / over) at a snapshot after t batches, constant between snapshots, and 0 from then
      on, where nothing is evaluated at the snapshot any more and no full pass is made;
    - ``"optimal"``: alpha* = Cov(F_B(w), F_B(w_S)) / Var(F_B(w_S)), with which Var(d) / Var(F_B) is 1 - rho^2. The
      covariance is a running mean of <F_B(w) - F(w_S), F_B(w_S) - F(w_S)> over the batches since the snapshot, and the
      variance one of the second factor's square. F(w_S) is no estimate, so both are unbiased and their quotient is 1 at
      the snapshot. A batch enters them when the next one is drawn: alpha never depends on the batch that it weighs.

    One number for each player or for each of its tensors, and for each member of a population.
    """

    def __init__(self, choice: Choice, grain: Grain, start: float | None, over: int | None):
        if choice != "optimal" and grain != "player":
            raise InvalidValue(f"grain is {grain!r} and coefficient {choice!r}, one for all: expected 'player'")
        if choice == "linear" and over is None:
            raise InvalidValue("coefficient is 'linear': expected over, the batches after which it is 0")
        if choice != "linear" and (start, over) != (None, None):
            raise InvalidValue(f"coefficient is {choice!r}, which does not decay: expected no start and no over")
        self.choice, self.grain, self.over = choice, grain, over
        self.start = START if start is None else start
        self.number = 1.0 if isinstance(choice, str) else float(choice)
        """alpha where it is a number, and what ``"optimal"`` begins with."""
        self._means: dict[str, Tensor] = {}
        """By player, (2, groups, members): the covariance and the variance."""
        self._waiting: dict[str, Tensor] = {}
        """What the batches of the present draw have added: their sum, and their number in a last row."""

    @property
    def learns(self) -> bool:
        """Whether it is estimated, from the two evaluations of every batch."""
        return self.choice == "optimal"

    @property
    def over_for_good(self) -> bool:
        """Whether it is 0 from now on."""
        return self.choice == "linear" and self.number == 0.0

    def of(self, player: str) -> float | Tensor:
        """A number, or what was estimated for the player: (groups, members)."""
        found = self._means.get(player)
        if not self.learns or found is None:
            return self.number
        return torch.where(found[1] > 0, found[0] / found[1].clamp(min=torch.finfo(torch.float64).tiny), 1.0)

    def restart(self, drawn: int, members: Tensor | None = None) -> None:
        """A snapshot (of the ``members`` of a mask) is taken after so many batches."""
        if self.choice == "linear":
            assert self.over is not None
            self.number = self.start * max(0.0, 1.0 - drawn / self.over)
        for kept in (self._means, self._waiting):
            if members is None:
                kept.clear()
            for values in kept.values():
                values[..., members] = 0.0

    # ---- what ``"optimal"`` learns -----------------------------------------------------------------------------------

    def weigh_(self, now: Gradients, then: Gradients, means: Means, players: Sequence[str], *, stacked: bool) -> None:
        """F_B(w), in place, to F_B(w) - alpha (F_B(w_S) - F(w_S)) with the alpha of before, which learns of B."""
        for name in players:
            centred = difference(then[name], means[name])
            self._see(name, now[name], centred, means[name], stacked=stacked)
            take_off_(now[name], centred, self.of(name))

    def _see(self, player: str, now: Tensors, centred: Tensors, mean: Tensors, *, stacked: bool) -> None:
        """F_B(w) and F_B(w_S) - F(w_S) of one batch, with F(w_S); it counts from the next draw on."""
        found = torch.stack(
            [
                torch.stack([_inner(a, h, stacked) - _inner(m, h, stacked), _inner(h, h, stacked)])
                for a, h, m in zip(now, centred, mean, strict=True)
                if a is not None and h is not None
            ],
            dim=1,
        ).cpu()
        if self.grain == "player":
            found = found.sum(1, keepdim=True)
        found = torch.cat([found, torch.ones_like(found[:1])])
        self._waiting[player] = self._waiting[player] + found if player in self._waiting else found

    def advance(self) -> None:
        """A new batch is drawn: what was seen before may decide about it."""
        for player, sums in self._waiting.items():
            fresh = sums[:2] / sums[2].clamp(min=1.0)
            means = self._means.get(player, torch.zeros_like(fresh))
            weight = fresh.new_full(fresh.shape[1:], FORGETS).masked_fill_(means[1] == 0, 1.0) * (sums[2] > 0)
            self._means[player] = means + weight * (fresh - means)
        self._waiting = {}

    def discard(self) -> None:
        """Forget the batches of the present draw."""
        self._waiting = {}

    def state_dict(self) -> dict[str, Any]:
        return {"now": self.number, "means": dict(self._means), "waiting": dict(self._waiting)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.number = state["now"]
        self._means, self._waiting = ({n: t.cpu() for n, t in copied(state[k]).items()} for k in ("means", "waiting"))


@torch.no_grad()
def take_off_(target: list[Tensor | None], correction: Tensors, alpha: float | Tensor) -> None:
    """``target -= alpha * correction``, with alpha a number or (groups, members) of ``Coefficient.of``."""
    if not isinstance(alpha, Tensor):
        add_(target, correction, -alpha)
        return
    group = 0
    for t, c in zip(target, correction, strict=True):
        if t is not None and c is not None:
            values = alpha[min(group, len(alpha) - 1)]
            if len(values) == 1:
                t.add_(c, alpha=-float(values))
            else:
                t.addcmul_(c, rows(values, c), value=-1.0)
            group += 1


def difference(a: Tensors, b: Tensors) -> list[Tensor | None]:
    """``a - b`` in the dtypes of ``b``, where ``None`` is zero."""
    found: list[Tensor | None] = [None if t is None else t.neg() for t in b]
    add_(found, a)
    return found


def _inner(a: Tensor | None, b: Tensor | None, stacked: bool) -> Tensor:
    """<a, b> in float64: (1,), or (m,) for the members of a stack."""
    if a is None or b is None:
        return torch.zeros(1, dtype=torch.float64)
    count = len(b) if stacked else 1
    a, b = (t.reshape(count, -1) for t in (a.to(b.dtype), b))
    return torch.linalg.vecdot(a, b).double() if stacked else torch.dot(a[0], b[0]).double().reshape(1)
