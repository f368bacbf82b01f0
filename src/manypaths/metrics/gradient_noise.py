"""The noise of a gradient estimate, at one fixed point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from manypaths.errors import InvalidValue
from manypaths.games.base import Game
from manypaths.oracles.base import Oracle
from manypaths.oracles.coefficient import difference, take_off_
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.variance import Spread, variance_ratio
from manypaths.vectors import Gradients, copy_, remembered


@dataclass(frozen=True)
class GradientNoise:
    """The noise of one player, or of one of its layers: that of the estimate, beside the plain mini-batch's.

    Attributes:
        second_moment: E ||d||^2 of the oracle's estimate d (SME in the SVRE paper).
        variance: tr Cov(d).
        squared_mean: ||E d||^2.
        ratio: Var(d) / Var(F_B) at the same point, on the same batches where d is about a batch; for SVRG what the
            variance-reduced estimate would have, also where ``when="helps"`` does not use it. ``None`` for the plain
            mini-batch itself.
        age: batches drawn since the snapshot, ``None`` without one.
        correlation: rho between F_B(w) and what d corrects it by, F_B(w) - d: F_B(w_S) for SVRG, F_B(w_{t-1}) for
            STORM. ``None`` where there is no such thing.
        bound: 1 - rho^2, the ratio that the best coefficient of that correction reaches.
        equivalent_batch: the plain mini-batch that would have the variance of d, in samples.
        cost: gradient evaluations per estimate, the full passes of its snapshots included, in samples.
        noise_scale: tr Cov / ||E g||^2 of a single sample's gradient g, in samples: the critical batch size, above
            which a larger batch buys little (McCandlish et al. 2018). Both are unbiased: ||E g||^2 is E ||F_B||^2 -
            tr Cov(F_B). Infinite where the mean is lost in the noise.
    """

    second_moment: float
    variance: float
    squared_mean: float
    ratio: float | None = None
    age: int | None = None
    correlation: float | None = None
    bound: float | None = None
    equivalent_batch: float | None = None
    cost: float | None = None
    noise_scale: float | None = None


def gradient_noise(game: Game, oracle: Oracle, *, draws: int = 8, layers: bool = False) -> dict[str, GradientNoise]:
    """Measure every player's noise at the current iterate over ``draws`` independent batches.

    Every draw meets the oracle as it is now (STORM's last estimate, SAGA's table), as the first of the next step. With
    ``layers`` also the noise of each layer of each player, under ``"critic/layers.0"`` and the like, on the same
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
        snapshot = isinstance(oracle, SVRG) and oracle.snapshot is not None and not oracle.alpha.over_for_good
        measure = _with_snapshot if snapshot else _by_estimates
        noise = measure(game, oracle, draws, groups)
    oracle.load_state_dict(state)
    return noise


def noise_scale(micro_batches: Iterable[Gradients], batch: int) -> dict[str, float]:
    """Each player's noise scale, from the gradients of at least two micro-batches of ``batch`` samples at one point.

    For a loop that accumulates gradients: they are there anyway, so it costs their norms and no evaluation.
    """
    spreads: dict[str, Spread] = {}
    for gradients in micro_batches:
        for name in gradients:
            spreads.setdefault(name, Spread()).add(gradients[name])
    if any(spread.n < 2 for spread in spreads.values()) or not spreads:
        raise InvalidValue("there are fewer than two micro-batches: a variance needs two")
    return {name: _scale(spread, batch) for name, spread in spreads.items()}


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


class _Pair:
    """The mini-batch gradient X = F_B(w), the estimate d, and X - d, of one group."""

    def __init__(self) -> None:
        self.plain, self.estimate, self.correction = Spread(), Spread(), Spread()

    def add(self, plain: Sequence[Tensor | None], estimate: Sequence[Tensor | None]) -> None:
        self.plain.add(plain)
        self.estimate.add(estimate)
        self.correction.add(difference(plain, estimate))

    def correlation(self) -> float | None:
        """Of X and X - d, by Var(d) = Var(X) + Var(X - d) - 2 Cov; ``None`` where nothing is corrected."""
        x, y = self.plain.variance, self.correction.variance
        if y <= _ROUNDING * x or x == 0.0:
            return None
        return max(-1.0, min(1.0, (x + y - self.estimate.variance) / (2.0 * math.sqrt(x * y))))


_ROUNDING = 1e-10
"""Of a variance: below it a correction is none."""


def _by_estimates(game: Game, oracle: Oracle, draws: int, groups: Sequence[_Group]) -> dict[str, GradientNoise]:
    """The oracle's own estimates, beside the mini-batch gradient of the same draws (or else of others)."""
    pairs, buffers = {group.label: _Pair() for group in groups}, [b.clone() for b in game.buffers()]
    spent, same, own = 0.0, True, isinstance(oracle, Stochastic)
    for _ in range(draws):
        sample, before = oracle.draw(), dict(oracle.evaluations)
        estimate = oracle(game, sample, moves_buffers=True)  # the first of a step, whose role it then has
        copy_(game.buffers(), buffers)
        paid = (torch.as_tensor(oracle.evaluations[n] - before.get(n, 0)).double().mean() for n in game.players)
        spent += float(sum(paid))
        oracle.discard()
        if own:
            for group in groups:
                pairs[group.label].estimate.add(group.of(estimate))
            continue
        batch = oracle.plain(sample)
        same = same and batch is not None
        plain = game.gradients(oracle.source.sample(oracle.batch) if batch is None else batch)
        for group in groups:
            pairs[group.label].add(group.of(plain), group.of(estimate))
    found, cost = {}, spent / len(game.players) / draws + oracle.upkeep
    for group in groups:
        pair = pairs[group.label]
        if own:
            found[group.label] = _summary(pair.estimate, pair.estimate, oracle, cost)
            continue
        rho = pair.correlation() if same else None
        ratio = variance_ratio(pair.estimate, pair.plain)
        found[group.label] = _summary(pair.estimate, pair.plain, oracle, cost, ratio, rho=rho)
    return found


def _with_snapshot(game: Game, oracle: Any, draws: int, groups: Sequence[_Group]) -> dict[str, GradientNoise]:
    """With a snapshot: the mini-batch estimate and the variance-reduced one on the same batches."""
    age = oracle.age
    pairs = {group.label: _Pair() for group in groups}
    spent = dict.fromkeys(game.players, 0)
    for _ in range(draws):
        sample = oracle.draw()
        now, then = game.gradients(sample), oracle.at_snapshot(game, sample)
        reduced = remembered(now)
        for name in game.players:
            take_off_(reduced[name], difference(then[name], oracle.snapshot.mean[name]), oracle.alpha.of(name))
            evaluations = oracle.evaluations_at_both(sample) if oracle.reduces(name) else 1
            spent[name] += evaluations * len(sample)
        for group in groups:
            pairs[group.label].add(group.of(now), group.of(reduced))
    found = {}
    for group in groups:
        pair = pairs[group.label]
        used = pair.estimate if oracle.reduces(group.player) else pair.plain
        ratio, cost = variance_ratio(pair.estimate, pair.plain), spent[group.player] / draws + oracle.upkeep
        found[group.label] = _summary(used, pair.plain, oracle, cost, ratio, age, pair.correlation())
    return found


def _summary(
    used: Spread,
    plain: Spread,
    oracle: Oracle,
    cost: float,
    ratio: float | None = None,
    age: int | None = None,
    rho: float | None = None,
) -> GradientNoise:
    worth = variance_ratio(used, plain)
    return GradientNoise(
        second_moment=used.second_moment,
        variance=used.variance,
        squared_mean=used.squared_mean,
        ratio=ratio,
        age=age,
        correlation=rho,
        bound=None if rho is None else 1.0 - rho**2,
        equivalent_batch=oracle.batch / worth if worth > 0.0 else math.inf,
        cost=cost,
        noise_scale=_scale(plain, oracle.batch),
    )


def _scale(plain: Spread, batch: int) -> float:
    """batch Var(F_B) / ||E g||^2."""
    return batch * plain.variance / plain.squared_mean if plain.squared_mean > 0.0 else math.inf
