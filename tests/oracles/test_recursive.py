"""STORM, PAGE and MARS against loops in NumPy: consecutive points of one role, jumps, what they remember."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import torch

from manypaths.errors import InvalidType
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.mars import Mars
from manypaths.oracles.page import Large, Page
from manypaths.oracles.storm import Storm
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.alternating import Alternating
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.optimistic import Optimistic
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import FunctionSource, Index, IndexSource
from manypaths.testing.closed_forms import curved_rotation
from manypaths.training import Training

N, LR = 12, 0.1


def game_of(seed: int = 0) -> Quadratic:
    generator = torch.Generator().manual_seed(seed)
    matrices = torch.stack([curved_rotation(seed=i) for i in range(N)])
    return Quadratic(matrices, torch.randn(N, 6, generator=generator, dtype=torch.float64))


def training_of(game, oracle, rule=None, **options) -> Training:
    optimizers = {name: torch.optim.SGD(game.parameters(name), lr=LR) for name in game.players}
    return Training(game, oracle, rule or Simultaneous(), optimizers, **options)


class Loop:
    """The recursions in NumPy: per player and role, the last point and estimate."""

    def __init__(self, game: Quadratic, kind: str, seed: int = 0):
        self.m, self.b = game.matrices.numpy(), game.offsets.numpy()
        self.kind, self.source, self.past = kind, IndexSource(N, seed=seed), {}

    def draw(self) -> int:
        return int(self.source.sample(1).index)

    def f(self, i: int, w: np.ndarray) -> np.ndarray:
        return self.m[i] @ w + self.b[i]

    def ask(self, i: int, w: np.ndarray, player: str, role: int) -> np.ndarray:
        part = slice(0, 3) if player == "x" else slice(3, 6)
        now, past = self.f(i, w)[part], self.past.get((player, role))
        d = now
        if past is not None:
            v, before, plain = past
            then = self.f(i, v)[part]
            if self.kind == "storm":
                d = now + 0.8 * (before - then)
            elif self.kind == "exact":
                d = now + 0.5 * 0.9 / 0.1 * (now - then)
            else:
                d = now + 0.5 * 0.9 / 0.1 * (now - plain)
        self.past[player, role] = (w.copy(), d, now)
        return d


ORACLES = {
    "storm": lambda source: Storm(source, batch=1, momentum=0.2),
    "exact": lambda source: Mars(source, batch=1, gamma=0.5, beta=0.9, correction="exact", clip=None),
    "approximate": lambda source: Mars(source, batch=1, gamma=0.5, beta=0.9, clip=None),
}


def simultaneous(loop: Loop, w: np.ndarray) -> np.ndarray:
    i = loop.draw()
    return w - LR * np.concatenate([loop.ask(i, w, p, 0) for p in "xy"])


def extragradient(loop: Loop, w: np.ndarray) -> np.ndarray:
    """w_{t+1/2} follows w_{t-1/2}, and w_t follows w_{t-1}."""
    i = loop.draw()
    half = w - LR * np.concatenate([loop.ask(i, w, p, 0) for p in "xy"])
    i = loop.draw()
    return w - LR * np.concatenate([loop.ask(i, half, p, 1) for p in "xy"])


def opponent(loop: Loop, w: np.ndarray) -> np.ndarray:
    i = loop.draw()
    half = w - LR * np.concatenate([loop.ask(i, w, p, 0) for p in "xy"])
    i = loop.draw()
    x, y = np.concatenate([w[:3], half[3:]]), np.concatenate([half[:3], w[3:]])
    return w - LR * np.concatenate([loop.ask(i, x, "x", 1), loop.ask(i, y, "y", 1)])


def alternating(loop: Loop, w: np.ndarray) -> np.ndarray:
    """Each player follows its own last turn, at the joint point of then."""
    for player in ("x", "x", "y"):
        part = slice(0, 3) if player == "x" else slice(3, 6)
        w = w.copy()
        w[part] -= LR * loop.ask(loop.draw(), w, player, 0)
    return w


def alternating_extragradient(loop: Loop, w: np.ndarray) -> np.ndarray:
    for player in ("x", "y"):
        part = slice(0, 3) if player == "x" else slice(3, 6)
        half, w = w.copy(), w.copy()
        half[part] -= LR * loop.ask(loop.draw(), w, player, 0)
        w[part] -= LR * loop.ask(loop.draw(), half, player, 1)
    return w


STEPS = {
    "simultaneous": (Simultaneous, simultaneous),
    "extragradient": (Extragradient, extragradient),
    "opponent": (lambda: Extragradient(at="opponent"), opponent),
    "alternating": (lambda: Alternating(("x", "x", "y")), alternating),
    "alternating extragradient": (lambda: Alternating(("x", "y"), Extragradient()), alternating_extragradient),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ORACLES)
def test_fifty_steps_equal_a_numpy_loop_and_resume_in_the_middle(kind, step) -> None:
    rule, by_hand = STEPS[step]
    game = game_of()
    training, loop = training_of(game, ORACLES[kind](IndexSource(N)), rule()), Loop(game_of(), kind)
    w, saved = game.joint().numpy(), io.BytesIO()
    for t in range(50):
        training.step()
        w = by_hand(loop, w)
        assert np.abs(game.joint().numpy() - w).max() < 1e-12 * max(1.0, np.abs(w).max()), t
        if t == 24:
            torch.save(training.state_dict(), saved)
    saved.seek(0)
    again = training_of(game_of(), ORACLES[kind](IndexSource(N)), rule())
    again.load_state_dict(torch.load(saved, weights_only=True))
    for _ in range(25):
        again.step()
    assert torch.equal(again.game.joint(), game.joint())
    assert again.oracle.evaluations == training.oracle.evaluations


@pytest.mark.parametrize("rule", [Simultaneous, Extragradient])
def test_page_equals_a_numpy_loop(rule) -> None:
    """Along the batches that it drew: the mean field where the coin said so, else the difference of one batch."""
    game = game_of()
    oracle = Page(IndexSource(N), batch=1, probability=0.2, seed=5)
    training = training_of(game, oracle, rule())
    drawn, draw = [], oracle.draw
    oracle.draw = lambda: drawn.append(draw()) or drawn[-1]
    m, b = game.matrices.numpy(), game.offsets.numpy()
    w, past = game.joint().numpy(), {}

    def ask(sample, w, role):
        if isinstance(sample, Large) or role not in past:
            d = m.mean(0) @ w + b.mean(0)
        else:
            i, (v, before) = int(sample.index), past[role]
            d = before + m[i] @ (w - v)
        past[role] = (w, d)
        return d

    spent = 0
    for _ in range(50):
        training.step()
        samples = drawn[spent:]
        spent = len(drawn)
        if rule is Simultaneous:
            w = w - LR * ask(samples[0], w, 0)
        else:
            w = w - LR * ask(samples[1], w - LR * ask(samples[0], w, 0), 1)
        assert np.abs(game.joint().numpy() - w).max() < 1e-12
    kinds = [isinstance(sample, Large) for sample in drawn]
    assert 0 < sum(kinds) < len(kinds) / 2


def test_page_resumes_bit_for_bit() -> None:
    whole, half, again = (
        training_of(game_of(), Page(IndexSource(N), batch=1, probability=0.3), Extragradient()) for _ in range(3)
    )
    for _ in range(20):
        whole.step()
    for _ in range(9):
        half.step()
    again.load_state_dict(half.state_dict())
    for _ in range(11):
        again.step()
    assert torch.equal(whole.game.joint(), again.game.joint())


def test_the_bias_of_storm_obeys_its_recursion() -> None:
    """E d_t - F(w_t) = (1 - a) (d_{t-1} - F(w_{t-1})) given the past, by enumeration of the next batch."""
    game = game_of()
    oracle = Storm(IndexSource(N), batch=1, momentum=0.2)
    training, last = training_of(game, oracle), {}
    for t in range(8):
        error = None
        if t:
            estimates = []
            for i in range(N):
                oracle._remember()
                found = oracle(game, Index(torch.tensor([i])), moves_buffers=False)
                estimates.append(torch.cat([found["x"][0], found["y"][0]]))
                oracle.discard()
                oracle._roles, oracle._asked = {}, {}
            error = torch.stack(estimates).mean(0) - game.field(game.joint())
        if error is not None:
            assert (error - 0.8 * last["error"]).abs().max() < 1e-12
            assert float(error.norm()) > 1e-3
        here = game.joint()
        training.step()
        last["error"] = (here - game.joint()) / LR - game.field(here)


def test_over_all_paths_storm_is_biased_only_through_its_own_trajectory() -> None:
    """At points that do not depend on the draws the mean over all paths is F(w_t), by enumeration of three draws."""
    game = game_of()
    points = [torch.randn(6, dtype=torch.float64) for _ in range(3)]
    total = torch.zeros(6, dtype=torch.float64)
    for path in itertools.product(range(4), repeat=3):
        oracle = Storm(IndexSource(N), batch=1, momentum=0.2)
        oracle.bind(game)
        for w, i in zip(points, path, strict=True):
            game.move_to({"x": [w[:3]], "y": [w[3:]]})
            oracle.draw()
            found = oracle(game, Index(torch.tensor([i])), moves_buffers=True)
        total += torch.cat([found["x"][0], found["y"][0]]) / 4**3
    expected = (torch.einsum("nij,j->ni", game.matrices, points[-1]) + game.offsets)[:4].mean(0)
    assert (total - expected).abs().max() < 1e-12


def test_mars_with_gamma_one_is_storm_under_an_average() -> None:
    beta, m = 0.9, None
    game, source = game_of(), IndexSource(N)
    mars = Mars(source, batch=1, gamma=1.0, beta=beta, correction="exact", clip=None)
    storm = Storm(source, batch=1, momentum=1 - beta)
    for t in range(12):
        game.move_to({n: [w + 0.1 * t for w in ws] for n, ws in game.point().items()})
        sample = mars.draw()
        storm.advance()
        c, d = (torch.cat([f["x"][0], f["y"][0]]) for f in (o(game, sample, moves_buffers=True) for o in (mars, storm)))
        m = c if m is None else beta * m + (1 - beta) * c
        assert (m - d).abs().max() < 1e-12, t


def test_approximate_mars_is_the_optimistic_gradient() -> None:
    first, second = (
        training_of(game_of(), oracle, rule)
        for oracle, rule in (
            (Mars(FullBatch(IndexSource(N)).source, batch=1, gamma=0.1, beta=0.9, clip=None), Simultaneous()),
            (Mars(IndexSource(N), batch=1, gamma=0.0), Optimistic(optimism=0.9)),
        )
    )
    second.oracle.clip = None
    for _ in range(10):
        first.step(), second.step()
        assert (first.game.joint() - second.game.joint()).abs().max() < 1e-13


def test_mars_clips_each_tensor_to_norm_one() -> None:
    game = game_of()
    oracle = Mars(IndexSource(N), batch=1)
    oracle.bind(game)
    game.move_to({"x": [torch.full((3,), 50.0).double()]})
    found = oracle(game, oracle.draw(), moves_buffers=True)
    assert float(found["x"][0].norm()) == pytest.approx(1.0, abs=1e-12)


def test_what_it_costs() -> None:
    for kind, cost in (("storm", 2 * 10 - 1), ("exact", 2 * 10 - 1), ("approximate", 10)):
        training = training_of(game_of(), ORACLES[kind](IndexSource(N)))
        for _ in range(10):
            training.step()
        assert training.oracle.evaluations == {"x": cost, "y": cost}


@pytest.mark.parametrize("on_jump", ["refresh", "keep"])
def test_a_sync_starts_anew_or_corrects_across_the_jump(on_jump) -> None:
    training = training_of(game_of(), Storm(IndexSource(N), 1, 0.2, on_jump), Lookahead(Simultaneous(), k=3))
    spent = [dict(training.oracle.evaluations)]
    for _ in range(7):
        training.step()
        spent.append(training.oracle.evaluations["x"] - sum(s for s in spent if isinstance(s, int)))
    assert spent[1:] == ([1, 2, 2, 1, 2, 2, 1] if on_jump == "refresh" else [1, 2, 2, 2, 2, 2, 2])


def test_a_restart_starts_anew() -> None:
    average = UniformAverage(restart=1.0, restart_at="step")
    training = training_of(game_of(), Storm(IndexSource(N), batch=1), averages=average)
    for _ in range(5):
        training.step()
    assert training.oracle.evaluations["x"] == 5


@pytest.mark.parametrize("kind", ORACLES)
def test_members_of_a_population_move_as_alone_restarts_included(kind) -> None:
    def averages():
        return UniformAverage(restart=0.3, restart_at="step")

    stacked = PopulationSource.of(lambda seed: IndexSource(N, seed=seed), 3)
    together = training_of(Population.of(lambda seed: game_of(), 3), ORACLES[kind](stacked), Extragradient())
    together = training_of(
        Population.of(lambda seed: game_of(), 3), ORACLES[kind](stacked), Extragradient(), averages=averages()
    )
    for _ in range(12):
        together.step()
    for seed in range(3):
        game = game_of()
        alone = training_of(
            game, ORACLES[kind](IndexSource(N, seed=seed)), Extragradient(), averages=averages(), seed=seed
        )
        for _ in range(12):
            alone.step()
        with together.game.member(seed) as member:
            assert (member.joint() - game.joint()).abs().max() < 1e-11
        counts = torch.as_tensor(together.oracle.evaluations["x"]).expand(3)
        assert int(counts[seed]) == alone.oracle.evaluations["x"]


def test_refusals_and_infinite_sources() -> None:
    infinite = FunctionSource(lambda n, g: Index(torch.randint(N, (n,), generator=g)))
    for oracle in (Storm(infinite, batch=2), Mars(infinite, batch=2), Page(infinite, batch=2, large=9)):
        training = training_of(game_of(), oracle, Extragradient())
        for _ in range(3):
            training.step()
    with pytest.raises(InvalidType, match="PAGE's large batch, without large=, needs a finite sum"):
        Page(infinite, batch=2)
    with pytest.raises(InvalidType, match="Page plays one game at a time"):
        training_of(Population([game_of()]), Page(PopulationSource([IndexSource(N)]), batch=1))
