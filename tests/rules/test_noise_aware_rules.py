"""Rules for noisy monotone games, along the samples they draw, against recursions written out; alone and in turns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.optim.base import Optimizers
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.accelerated_optimistic import AcceleratedOptimistic
from manypaths.rules.alternating import Alternating
from manypaths.rules.anchored import Anchored
from manypaths.rules.bias_corrected import BiasCorrectedExtragradient
from manypaths.rules.dual_halpern import DualHalpern
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.fast_optimistic import FastOptimistic
from manypaths.rules.normalised_extragradient import NormalisedExtragradient
from manypaths.rules.omega import Omega
from manypaths.rules.optimistic import Optimistic
from manypaths.rules.recursive_anchoring import RecursiveAnchoring
from manypaths.rules.reshuffled import seg_ffa, seg_rr
from manypaths.rules.stochastic_halpern import StochasticHalpern
from manypaths.sources.base import IndexSource
from manypaths.testing import closed_forms as forms
from manypaths.testing.closed_forms import curved_rotation
from manypaths.training import Training

N, LR = 5, 0.1
M = curved_rotation()


def game_of() -> Quadratic:
    generator = torch.Generator().manual_seed(1)
    matrices = torch.stack([curved_rotation(seed=i) for i in range(N)])
    return Quadratic(matrices, torch.randn(N, 6, generator=generator, dtype=torch.float64))


def training_of(game, rule, oracle=None, lr: float = LR, averages=None, seed: int = 0, **options) -> Training:
    optimizers = Optimizers({n: torch.optim.SGD(game.parameters(n), lr=lr) for n in game.players}, **options)
    oracle = oracle or Stochastic(IndexSource(N), batch=1)
    return Training(game, oracle, rule, optimizers, averages=averages, seed=seed)


class ByHand:
    """One turn of the players of ``own`` (a 0/1 vector); memory by who moves."""

    def __init__(self, game: Quadratic):
        self.game, self.source, self.memory = game, IndexSource(N), {}

    def draw(self) -> int:
        return int(self.source.sample(1).index)

    def f(self, i: int, w: Tensor) -> Tensor:
        return self.game.matrices[i] @ w + self.game.offsets[i]

    def walk(self, w: Tensor, turns) -> Tensor:
        for players in turns:
            own = torch.cat([torch.full((3,), float(name in players)) for name in "xy"]).double()
            memory = self.memory.setdefault(players, {"k": 0})
            w = w + own * (self.turn(w, own, memory) - w)
            memory["k"] += 1
        return w


class BiasCorrected(ByHand):
    correct = True

    def turn(self, z, own, m):
        alpha, i = 0.5 / (1 + m["k"] / 4), self.draw()
        half = z - LR * own * self.f(i, z)
        if self.correct:
            last, bar = m.get("last", z), m.get("bar", z)
            half = half + own * (1 - alpha) * (bar - last + LR * self.f(i, last))
        m["last"], m["bar"] = z, half
        return z - alpha * LR * self.f(self.draw(), half)


class Plus(BiasCorrected):
    correct = False


class Dual(ByHand):
    def turn(self, x, own, m):
        image = x - LR * self.f(self.draw(), x)
        move = (8 - m["k"] - 1) / (8 - m["k"]) * (image - m.get("image", x))
        m["image"] = image
        return x + move


class SingleCall(ByHand):
    def turn(self, z, own, m):
        start, t = m.setdefault("start", z), m["k"]
        b, eta = 3 / (t + 3), LR / (t + 3) ** 0.75
        return (1 - b) * z + b * start - eta * self.f(self.draw(), z)


class Regularised(ByHand):
    def turn(self, z, own, m):
        start = m.setdefault("start", z)
        w = z - own * (LR * self.f(self.draw(), z) - LR * 0.2 * (start - z))
        return z - LR * self.f(self.draw(), w) + LR * 0.2 * (start - w)


class Rain(ByHand):
    def turn(self, z, own, m):
        anchors = m.setdefault("anchors", [])
        anchors.append(z)
        pull = lambda v: sum(0.2 * 0.05 * 1.05**j * (a - v) for j, a in enumerate(anchors))  # noqa: E731
        w = z - own * (LR * self.f(self.draw(), z) - LR * pull(z))
        return z - LR * self.f(self.draw(), w) + LR * pull(w)


class Aog(ByHand):
    same = False

    def turn(self, x, own, m):
        k, i, last = m["k"], self.draw(), m.get("last", x)
        theta, gamma, eta = (k + 1) / (k + 4), (k + 1) / (k + 2), 2 * LR * (k + 2) / (k + 4)
        now = self.f(i, x)
        past = self.f(i, last) if self.same else m.get("g", now)
        m["last"], m["g"] = x, now
        return x + theta * (x - last) - eta * (now - gamma * past)


class AogSame(Aog):
    same = True


class Fast(ByHand):
    def turn(self, x, own, m):
        k, a, g = m["k"], 2.1, m.get("g", torch.zeros_like(x))
        y = x + own * (k / (k + a) * (x - m.get("last", x)) - LR * a / (k + a) * g)
        now = self.f(self.draw(), y)
        m["last"], m["g"] = x, now
        return y - LR * (2 * k + a) / (k + a) * (now - g)


class ByOmega(ByHand):
    def turn(self, w, own, m):
        g = self.f(self.draw(), w)
        average = m.get("m", g)
        m["m"] = 0.9 * average + 0.1 * g
        return w - LR * (g + 0.7 * (g - average))


class Normalised(ByHand):
    def turn(self, w, own, m):
        i = self.draw()
        g = own * self.f(i, w)
        rate = LR / (0.5 + 2.0 * g.norm() ** 1.5)
        return w - rate * self.f(self.draw(), w - rate * g)


RULES = {
    "bc-seg+": (lambda: BiasCorrectedExtragradient(over=4.0), BiasCorrected),
    "seg+": (lambda: BiasCorrectedExtragradient(over=4.0, correct=False), Plus),
    "s-dual-ohm": (lambda: DualHalpern(8), Dual),
    "single-call halpern": (lambda: StochasticHalpern(3.0), SingleCall),
    "r-seg": (lambda: RecursiveAnchoring(0.2, 0.0), Regularised),
    "rain": (lambda: RecursiveAnchoring(0.2, 0.05), Rain),
    "aog": (AcceleratedOptimistic, Aog),
    "aog, same sample": (lambda: AcceleratedOptimistic(same_sample=True), AogSame),
    "fast ogda": (FastOptimistic, Fast),
    "omega": (lambda: Omega(optimism=0.7), ByOmega),
    "(L0, L1)": (lambda: NormalisedExtragradient(0.5, 2.0, 1.5), Normalised),
}
TURNS = {"joint": (("x", "y"),), "x y": (("x",), ("y",)), "y x x": (("y",), ("x",), ("x",))}


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("name", RULES)
def test_trajectories_alone_and_in_turns(name, turns) -> None:
    make, hand = RULES[name]
    rule = make() if turns == "joint" else Alternating(tuple(player for (player,) in TURNS[turns]), make())
    game, by_hand = game_of(), hand(game_of())
    training, w = training_of(game, rule), game.joint()
    for t in range(3 if name == "s-dual-ohm" and turns == "y x x" else 7):
        training.step()
        w = by_hand.walk(w, TURNS[turns])
        assert (game.joint() - w).abs().max() < 1e-13 * max(1.0, float(w.abs().max())), t


def linear(name: str, steps: int) -> Tensor:
    """The matrix of the recursion on the field M w."""
    game = Quadratic(M.expand(N, 6, 6).clone())
    return torch.stack([_ends(RULES[name][1](game), column, steps) for column in torch.eye(6).double()], 1)


def _ends(hand: ByHand, w: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        w = hand.walk(w, TURNS["joint"])
    return w


@pytest.mark.parametrize("name", [name for name in RULES if name != "(L0, L1)"])
def test_maps_on_a_linear_field(name) -> None:
    assert (forms.affine_map(RULES[name][0], M, lr=LR, steps=6) - linear(name, 6)).abs().max() < 1e-13


def test_special_cases_are_known_rules() -> None:
    for rule, known in (
        (lambda: BiasCorrectedExtragradient(alpha=1.0, power=0.0, correct=False), Extragradient),
        (lambda: BiasCorrectedExtragradient(alpha=1.0, power=0.0), Extragradient),
        (lambda: Omega(beta=0.0), Optimistic),
        (lambda: RecursiveAnchoring(0.0, 0.0), Extragradient),
        (lambda: NormalisedExtragradient(1.0, 0.0), Extragradient),
    ):
        got, expected = (forms.affine_map(make, M, lr=LR, steps=5) for make in (rule, known))
        assert (got - expected).abs().max() < 1e-13


def test_aogs_variance_reduced_form() -> None:
    """S = (1 - gamma) (G(w) - G_B(w)) + G_B(x_k) - gamma G_B(x_{k-1}) with the snapshot w."""
    game = game_of()
    oracle = SVRG(IndexSource(N, seed=2), batch=1, schedule="fixed", every=3)
    training = training_of(game, AcceleratedOptimistic(same_sample=True), oracle)
    drawn, draw = [], oracle.draw
    oracle.draw = lambda: drawn.append(draw()) or drawn[-1]
    f = lambda i, w: game.matrices[i] @ w + game.offsets[i]  # noqa: E731
    x = last = snapshot = game.joint()
    for k in range(9):
        training.step()
        i, theta, gamma, eta = int(drawn[-1].index), (k + 1) / (k + 4), (k + 1) / (k + 2), 2 * LR * (k + 2) / (k + 4)
        s = (1 - gamma) * (game.field(snapshot) - f(i, snapshot)) + f(i, x) - gamma * f(i, last)
        x, last = x + theta * (x - last) - eta * s, x
        assert (game.joint() - x).abs().max() < 1e-13
        snapshot = x if k % 3 == 2 else snapshot


def test_seg_rr_and_seg_ffa_by_hand() -> None:
    for bilinear, c in ((False, 2.0), (True, 4.0)):
        game, source = game_of(), IndexSource(N, order="shuffled")
        training = training_of(game, seg_rr(bilinear=bilinear), Stochastic(IndexSource(N, order="shuffled"), batch=1))
        hand, w = ByHand(game_of()), game.joint()
        for _ in range(3 * N):
            training.step()
            i = int(source.indices(1))
            w = w - LR * hand.f(i, w - c * LR * hand.f(i, w))
            assert (game.joint() - w).abs().max() < 1e-13
    game, source = game_of(), IndexSource(N, order="flip-flop")
    training = training_of(game, seg_ffa(N), Stochastic(IndexSource(N, order="flip-flop"), batch=1))
    w = game.joint()
    for _ in range(2):
        start, there = w, source.indices(2 * N).tolist()
        assert there == there[::-1]
        for i in there:
            w = w - LR * hand.f(i, w - LR / 2 * hand.f(i, w))
            training.step()
        w = (start + w) / 2
        assert (game.joint() - w).abs().max() < 1e-13


def test_the_field_falls_faster_with_memory_on_a_bilinear_game() -> None:
    """Fast OGDA and AOG against extragradient on singular values down to 1e-2; ||F|| after 400 steps."""
    left = {}
    for name, rule in (("fast", FastOptimistic()), ("eg", Extragradient()), ("eag", Anchored())):
        game = Bilinear(torch.diag(torch.logspace(0, -2, 6, dtype=torch.float64)))
        training = training_of(game, rule, FullBatch(IndexSource(game.size), batch=1), lr=0.2)
        for _ in range(400):
            training.step()
        left[name] = float(game.field(game.joint()).norm())
    assert left["fast"] < left["eag"]
    assert left["fast"] < left["eg"]


@pytest.mark.parametrize("name", [name for name in RULES if name != "(L0, L1)"])
def test_a_member_of_a_population_restarts_by_itself(name) -> None:
    """And moves as it does alone: what is remembered goes along with its own jump only."""
    averages = lambda: UniformAverage(restart=0.3, restart_at="step")  # noqa: E731
    sources = PopulationSource.of(lambda seed: IndexSource(N, seed=seed), 3)
    population = Population.of(lambda seed: game_of(), 3)
    together = training_of(population, RULES[name][0](), Stochastic(sources, batch=1), averages=averages())
    alone = [
        training_of(
            game_of(), RULES[name][0](), Stochastic(IndexSource(N, seed=i), batch=1), averages=averages(), seed=i
        )
        for i in range(3)
    ]
    for training in (together, *alone):
        for _ in range(10):
            training.step()
    for i, training in enumerate(alone):
        with together.game.member(i) as member:
            assert (member.joint() - training.game.joint()).abs().max() < 1e-12


def test_gradients_clipped_by_value_by_hand() -> None:
    game, w = Quadratic(M), torch.ones(6, dtype=torch.float64)
    training = training_of(game, Extragradient(), FullBatch(IndexSource(1), batch=1), clip_value=0.05)
    for _ in range(4):
        training.step()
        w = w - LR * (M @ (w - LR * (M @ w).clamp(-0.05, 0.05))).clamp(-0.05, 0.05)
        assert (game.joint() - w).abs().max() < 1e-14
    for options in ({"clip_value": 0.0}, {"clip_value": -1.0}):
        with pytest.raises(InvalidValue, match="clip_value is .*: expected a finite number > 0, or none"):
            training_of(game, Extragradient(), **options)
    with pytest.raises(InvalidValue, match="clip is 1.0 and clip_value 0.5: expected one of them"):
        training_of(game, Extragradient(), clip=1.0, clip_value=0.5)


def test_refusals() -> None:
    with pytest.raises(InvalidValue, match="DualHalpern.horizon is 1: expected a number >= 2"):
        DualHalpern(1)
    with pytest.raises(InvalidValue, match="StochasticHalpern.a is 1.0: expected a number >= 2"):
        StochasticHalpern(1.0)
    with pytest.raises(InvalidValue, match="FastOptimistic.a is 2.0: expected a number > 2"):
        FastOptimistic(2.0)
    with pytest.raises(InvalidValue, match="c0 and c1 are 0: expected one of them > 0"):
        NormalisedExtragradient(0.0, 0.0)
    with pytest.raises(InvalidValue, match="batches is 0: expected the mini-batches of one epoch"):
        seg_ffa(0)
    with pytest.raises(InvalidType, match="reads the norm of one game's field: expected no Population"):
        training_of(
            Population([game_of()]), NormalisedExtragradient(), Stochastic(PopulationSource([IndexSource(N)]), batch=1)
        )
