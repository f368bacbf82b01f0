"""The variance ratio of a snapshot oracle, measured now and then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from manypaths.games.base import Game
from manypaths.oracles.coefficient import Coefficient, take_off_
from manypaths.oracles.variance import Spread, variance_ratio
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients


class Measurable(Protocol):
    """What is measured: an estimate d_B = F_B(w) - alpha (F_B(w_S) - F(w_S))."""

    alpha: Coefficient

    def component(self) -> Sample:
        """A random mini-batch, drawn without counting it."""
        ...

    def at_snapshot(self, game: Game, sample: Any, players: Iterable[str] | None = None) -> Gradients:
        """F_B(w_S)."""
        ...

    def evaluations_at_both(self, sample: Any) -> int:
        """Evaluations that F_B(w) and F_B(w_S) take together, one where the latter is stored."""
        ...

    def count(self, players: Iterable[str], samples: int) -> None: ...


class VarianceWatch:
    """Var(d) / Var(F_B) of each player, from ``probes`` fresh batches each ``every`` batches drawn."""

    def __init__(self, every: int, probes: int):
        self.every, self.probes = every, probes
        self.ratios: dict[str, float] = {}
        self._next: dict[str, int] = {}

    def late(self, players: Sequence[str], drawn: int) -> list[str]:
        """The players whose ratio is to be measured now."""
        return [name for name in players if drawn >= self._next.get(name, self.every)]

    def measure(self, oracle: Measurable, game: Game, players: Sequence[str], drawn: int) -> None:
        """Measure for these players here; what it takes is counted."""
        plain = {name: Spread() for name in players}
        reduced = {name: Spread() for name in players}
        for _ in range(self.probes if players else 0):
            sample = oracle.component()
            now, then = game.gradients(sample, players), oracle.at_snapshot(game, sample, players)
            oracle.count(players, oracle.evaluations_at_both(sample) * len(sample))
            for name in players:
                plain[name].add(now[name])
                take_off_(now[name], then[name], oracle.alpha.of(name))
                reduced[name].add(now[name])
        for name in players:
            self.ratios[name] = variance_ratio(reduced[name], plain[name])
            self._next[name] = drawn + self.every

    def restart(self, players: Iterable[str], drawn: int) -> None:
        """A new snapshot: nothing is known of it yet."""
        self.ratios, self._next = {}, dict.fromkeys(players, drawn + self.every)

    def state_dict(self) -> dict[str, Any]:
        return {"ratios": dict(self.ratios), "next_check": dict(self._next)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.ratios, self._next = dict(state.get("ratios", {})), dict(state["next_check"])
