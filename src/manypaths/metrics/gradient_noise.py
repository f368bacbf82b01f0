"""The noise of a gradient estimate, at one fixed point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.oracles.base import Oracle
from manypaths.oracles.coefficient import difference, take_off_
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.variance import Spread, variance_ratio


@dataclass(frozen=True)
class GradientNoise:
    """The noise of one player, or of one of its layers.

    Attributes:
        second_moment: E ||d||^2 of the oracle's estimate d (SME in the SVRE paper).
        variance: tr Cov(d).
        squared_mean: ||E d||^2.
        ratio: Var(SVRG) / Var(mini-batch) at the same point on the same batches; ``None`` without a snapshot.
        age: batches drawn since the snapshot, ``None`` without one.
    """

    second_moment: float
    variance: float
    squared_mean: float
    ratio: float | None = None
    age: int | None = None


def gradient_noise(game: Game, oracle: Oracle, *, draws: int = 8, layers: bool = False) -> dict[str, GradientNoise]:
    """Measure every player's noise at the current iterate over ``draws`` independent batches.

    With ``layers`` also that of each layer of each player, under ``"critic/layers.0"`` and the like, on the same
    batches: a player's variance is the sum of its layers'. Nothing that training depends on moves: the source, the
    oracle's coins, its counters and all buffers come back. Its cost is not counted.
    """
    if draws < 2:
        raise InvalidValue(f"draws is {draws}: expected at least 2, for a variance needs two")
    groups = [_Group(name, name, None) for name in game.players]
    if layers:
        groups += [group for name in game.players for group in _layers(name, game.players[name])]
    state = oracle.state_dict()
    with oracle.source.rewound():
        measure = _both if isinstance(oracle, SVRG) and oracle.snapshot is not None else _one
        noise = measure(game, oracle, draws, groups)
    oracle.load_state_dict(state)
    return noise


@dataclass(frozen=True)
class _Group:
    """Some of a player's parameters, by their places; all of them where ``places`` is none."""

    label: str
    player: str
    places: tuple[int, ...] | None

    def of(self, vector: Any) -> Sequence[Tensor | None]:
        tensors = vector[self.player]
        return tensors if self.places is None else [tensors[i] for i in self.places]


def _layers(player: str, module: nn.Module) -> list[_Group]:
    """The parameters of one layer have one name but for the last part; a parametrised weight belongs to its layer."""
    places: dict[str, list[int]] = {}
    for i, name in enumerate(n for n, p in module.named_parameters() if p.requires_grad):
        layer = name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
        places.setdefault(layer, []).append(i)
    return [_Group(f"{player}/{layer}", player, tuple(found)) for layer, found in places.items()]


def _one(game: Game, oracle: Oracle, draws: int, groups: Sequence[_Group]) -> dict[str, GradientNoise]:
    spreads = {group.label: Spread() for group in groups}
    for _ in range(draws):
        estimate = oracle(game, oracle.draw())
        for group in groups:
            spreads[group.label].add(group.of(estimate))
    return {label: _summary(spread) for label, spread in spreads.items()}


def _both(game: Game, oracle: Any, draws: int, groups: Sequence[_Group]) -> dict[str, GradientNoise]:
    """With a snapshot: the mini-batch estimate and the variance-reduced one on the same batches."""
    age = oracle.age
    plain, reduced = ({group.label: Spread() for group in groups} for _ in range(2))
    for _ in range(draws):
        sample = oracle.draw()
        now, then = game.gradients(sample), oracle.at_snapshot(game, sample)
        for group in groups:
            plain[group.label].add(group.of(now))
        for name in game.players:
            take_off_(now[name], difference(then[name], oracle.snapshot.mean[name]), oracle.alpha.of(name))
        for group in groups:
            reduced[group.label].add(group.of(now))
    used = {g.label: reduced[g.label] if oracle.reduces(g.player) else plain[g.label] for g in groups}
    return {
        label: _summary(spread, variance_ratio(reduced[label], plain[label]), age) for label, spread in used.items()
    }


def _summary(spread: Spread, ratio: float | None = None, age: int | None = None) -> GradientNoise:
    return GradientNoise(spread.second_moment, spread.variance, spread.squared_mean, ratio, age)
