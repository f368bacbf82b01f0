"""What rules remember: kept apart from the gradients handed out, keyed by player, and no longer than it holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from manypaths.errors import InputError, InvalidType, InvalidValue
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.games.from_losses import FromLosses
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.optim.base import Optimizers
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.penalties.r1 import R1
from manypaths.rules.alternating import Alternating
from manypaths.rules.alternating_extrapolation import AlternatingExtrapolation
from manypaths.rules.anchored import Anchored
from manypaths.rules.base import Remembered, Rule, StepInfo, remembered
from manypaths.rules.competitive import CompetitiveGradientDescent
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.optimistic import Optimistic
from manypaths.rules.past_extragradient import PastExtragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.rules.variance_reduced_extragradient import VarianceReducedExtragradient
from manypaths.sources.base import IndexSource
from manypaths.testing.closed_forms import curved_rotation
from manypaths.testing.conformance import check_rule, small_gan, small_source
from manypaths.training import Training
from manypaths.vectors import flat

M = curved_rotation()
LR = 0.1


def training(rule, game=None, oracle=None, *, clip=None, lr=LR, optimiser=torch.optim.SGD, averages=None) -> Training:
    game = game or Quadratic(M)
    optimizers = Optimizers({name: optimiser(game.parameters(name), lr=lr) for name in game.players}, clip=clip)
    return Training(game, oracle or FullBatch(IndexSource(1), batch=1), rule, optimizers, averages=averages)


def path(work: Training, steps: int) -> list[torch.Tensor]:
    points = []
    for _ in range(steps):
        work.step()
        points.append(work.game.joint())
    return points


def clipped(g: torch.Tensor, largest: float) -> torch.Tensor:
    """Per player, as torch does it."""
    parts = g.chunk(2)
    return torch.cat([p * min(1.0, largest / (float(p.norm()) + 1e-6)) for p in parts])


@pytest.mark.parametrize("rule", [Optimistic, PastExtragradient])
def test_clipping_does_not_reach_into_the_memory(rule) -> None:
    """Stored gradients that share memory with ``p.grad`` are clipped along; aliased, optimism is plain descent."""
    work, w, past = training(rule(), clip=0.2), torch.ones(6, dtype=torch.float64), None
    for t, got in enumerate(path(work, 5)):
        if rule is Optimistic:
            g = M @ w
            w = w - LR * clipped(g if past is None else 2 * g - past, 0.2)
        else:
            g = M @ (w if past is None else w - LR * clipped(past, 0.2))
            w = w - LR * clipped(g, 0.2)
        past = g
        assert (got - w).abs().max() < 1e-13, t
    plain = path(training(Simultaneous(), clip=0.2), 5)[-1]
    assert (plain - w).norm() > 1e-3


def test_optimistic_adam_equals_its_recursion() -> None:
    """Daskalakis et al. 2018: w' = w + 2 u_t - u_{t-1} with u_t Adam's update; the first step is u_0."""
    work, w = training(Optimistic(of="update"), optimiser=torch.optim.Adam), torch.ones(6, dtype=torch.float64)
    mean = square = torch.zeros_like(w)
    past = None
    for t, got in enumerate(path(work, 20), start=1):
        g = M @ w
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        update = -LR * (mean / (1 - 0.9**t)) / ((square / (1 - 0.999**t)).sqrt() + 1e-8)
        w = w + update if past is None else w + 2 * update - past
        past = update
        assert (got - w).abs().max() < 1e-13, t


def test_popovs_half_steps_are_optimistic_gradient_descent() -> None:
    """w_{t+3/2} = w_{t+1/2} - eta (2 F(w_{t+1/2}) - F(w_{t-1/2})), begun with F(w_{-1/2}) = 0."""
    popov, optimistic = training(PastExtragradient(keep_extrapolated=True)), training(Optimistic())
    optimistic.rule.load_state_dict({"past": {n: [torch.zeros(3, dtype=torch.float64)] for n in "xy"}})
    assert torch.equal(flat(popov.step().extrapolated), optimistic.game.joint())
    for expected in path(optimistic, 8):
        assert (flat(popov.step().extrapolated) - expected).abs().max() < 1e-14


def test_past_extragradient_asks_for_one_gradient_per_step() -> None:
    for rule, cost in ((PastExtragradient(), 7), (Optimistic(), 7), (Anchored(), 14), (Anchored(extrapolate=False), 7)):
        work = training(rule)
        path(work, 7)
        assert work.oracle.evaluations == {"x": cost, "y": cost}
    work = training(AlternatingExtrapolation())
    path(work, 7)
    assert work.oracle.evaluations == {"x": 7, "y": 7}


def test_anchored_extragradient_by_hand() -> None:
    w0 = w = torch.ones(6, dtype=torch.float64)
    for b, got in zip((1 / 2, 1 / 3, 1 / 4), path(training(Anchored()), 3), strict=True):
        half = w + b * (w0 - w) - LR * (M @ w)
        w = w + b * (w0 - w) - LR * (M @ half)
        assert (got - w).abs().max() < 1e-14


def test_anchored_extragradient_at_the_opponents_by_hand() -> None:
    w0 = w = torch.ones(6, dtype=torch.float64)
    own = torch.block_diag(M[:3, :3], M[3:, 3:])
    for b, got in zip((1 / 2, 1 / 3, 1 / 4), path(training(Anchored(at="opponent")), 3), strict=True):
        half = w + b * (w0 - w) - LR * (M @ w)
        w = w + b * (w0 - w) - LR * (own @ w + (M - own) @ half)
        assert (got - w).abs().max() < 1e-14


def test_anchored_extragradient_keeps_its_rate_on_a_bilinear_game() -> None:
    """||F(w_t)||^2 <= 260 L^2 ||w_0 - w*||^2 / (t + 1)^2 with eta = 1 / (8 L) (Yoon and Ryu 2021)."""
    singular = torch.logspace(0, -3, 8, dtype=torch.float64)
    game = Bilinear(torch.diag(singular))
    work, distance = training(Anchored(), game, lr=1 / 8), float(game.joint().square().sum())
    for t, w in enumerate(path(work, 600), start=1):
        bound = 260 * distance / (t + 1) ** 2
        assert float(game.field(w).square().sum()) <= bound
    assert bound < 2e-2
    plain = training(Simultaneous(), Bilinear(torch.diag(singular)), lr=1 / 8)
    assert float(game.field(path(plain, 600)[-1]).square().sum()) > 1e3


def test_lookahead_jumps_for_all_players_at_once_and_says_so() -> None:
    work = training(Lookahead(Alternating(("x", "y", "y")), k=3))
    infos = [work.step() for _ in range(7)]
    assert [info.jumped for info in infos] == [False, False, True, False, False, True, False]
    assert set(infos[0].losses) == {"x", "y"}


def test_a_snapshot_oracle_hears_of_a_sync() -> None:
    work = training(Lookahead(Simultaneous(), k=2), oracle=SVRG(IndexSource(1), batch=1, every=1e9, schedule="fixed"))
    path(work, 4)
    assert torch.equal(flat(work.oracle.snapshot.point), work.game.joint())


def test_nested_lookahead_by_hand() -> None:
    """Chavdarova et al. 2021: the outer sync moves iterate and inner slow weights."""
    work = training(Lookahead(Lookahead(Simultaneous(), k=2, alpha=0.5), k=3, alpha=0.25))
    w = slow = outer = torch.ones(6, dtype=torch.float64)
    for t, got in enumerate(path(work, 12), start=1):
        w = w - LR * (M @ w)
        if t % 2 == 0:
            slow = w = slow + 0.5 * (w - slow)
        if t % 3 == 0:
            outer = slow = w = outer + 0.25 * (w - outer)
        assert (got - w).abs().max() < 1e-14, t


def test_slow_weights_follow_a_restart() -> None:
    average, oracle = UniformAverage(restart=1.0), SVRG(IndexSource(1), batch=1, every=2, schedule="fixed")
    work = training(Lookahead(Simultaneous(), k=3), oracle=oracle, averages=average)
    w = torch.ones(6, dtype=torch.float64)
    first = w - LR * (M @ w)
    second = first - LR * (M @ first)
    slow = (first + second) / 2
    third = slow - LR * (M @ slow)
    assert (path(work, 3)[-1] - (slow + third) / 2).abs().max() < 1e-14


def finite_sum() -> tuple[Quadratic, torch.Tensor, torch.Tensor]:
    matrices = torch.stack([M + 0.2 * torch.eye(6), 0.5 * M + 0.1 * torch.eye(6)])
    offsets = torch.arange(12, dtype=torch.float64).reshape(2, 6) / 10
    return Quadratic(matrices, offsets), matrices, offsets


@pytest.mark.parametrize("alpha", [None, 0.3])
def test_variance_reduced_extragradient_by_hand(alpha) -> None:
    """On two component functions, along the samples that were drawn and with a snapshot after every third step."""
    game, matrices, offsets = finite_sum()
    oracle = SVRG(IndexSource(2, seed=4), batch=1, schedule="fixed", every=3)
    rule = VarianceReducedExtragradient(alpha=alpha, keep_extrapolated=True)
    work = training(rule, game, oracle)
    drawn, draw = [], oracle.draw
    oracle.draw = lambda: drawn.append(draw()) or drawn[-1]
    z = snapshot = torch.ones(6, dtype=torch.float64)
    a = 2 / 3 if alpha is None else alpha
    for t in range(1, 11):
        info = work.step()
        i = int(drawn[-1].index)
        full = matrices.mean(0) @ snapshot + offsets.mean(0)
        mixed = a * z + (1 - a) * snapshot
        half = mixed - LR * full
        z = mixed - LR * (full + matrices[i] @ (half - snapshot))
        snapshot = z if t % 3 == 0 else snapshot
        assert (flat(info.extrapolated) - half).abs().max() < 1e-14
        assert (game.joint() - z).abs().max() < 1e-13, t
    assert {int(sample.index) for sample in drawn} == {0, 1}
    assert oracle.evaluations["x"] == 10 * 2 + 4 * 2, "two per step, and a full pass of two at each of four snapshots"


def test_variance_reduced_extragradient_converges_under_noise() -> None:
    game, *_ = finite_sum()
    work = training(VarianceReducedExtragradient(), game, SVRG(IndexSource(2), batch=1, schedule="loopless"), lr=0.5)
    assert (path(work, 800)[-1] - game.solution()).norm() < 1e-10


def test_competitive_gradient_descent_counts_every_product() -> None:
    work = training(CompetitiveGradientDescent(tolerance=1e-14), Bilinear(torch.ones(1, 1, dtype=torch.float64)))
    path(work, 1)
    # x: the gradient, D_xy f for the right-hand side and for each of two products with the operator (one iteration and
    # the residual after it); y: the gradient, D_yx g for each of these two and for the answer
    assert work.oracle.evaluations == {"x": 4, "y": 4}


def test_competitive_gradient_descent_counts_a_product_for_the_player_whose_loss_it_passes_through() -> None:
    """f = xy and g = y^2 / 2: there is no D_yx g, and y pays for its gradient alone; two samples, by hand."""
    nets = {name: nn.Linear(1, 1, bias=False).double() for name in ("x", "y")}
    losses = {
        "x": lambda s, x, y: (x.weight * y.weight).squeeze(),
        "y": lambda s, x, y: y.weight.square().squeeze() / 2,
    }
    game = FromLosses(losses, nets)
    optimizers = {n: torch.optim.SGD(game.parameters(n), lr=0.1) for n in nets}
    rule = CompetitiveGradientDescent(tolerance=1e-14)
    work = Training(game, Stochastic(IndexSource(8), batch=2), rule, optimizers)
    (x, y), passes = flat(game.point()).tolist(), []
    grad = torch.autograd.grad
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.autograd, "grad", lambda *args, **kw: passes.append(args[0]) or grad(*args, **kw))
        work.step()
    assert work.oracle.evaluations == {"x": 2 * (1 + 3), "y": 2 * 1}
    assert len(passes) == 4 + 1, "what is counted is what was computed"
    # dx = -eta (y - eta y) and dy = -eta y
    assert flat(game.point()).tolist() == pytest.approx([x - 0.1 * (y - 0.1 * y), y - 0.1 * y], abs=1e-12)


def test_competitive_gradient_descent_takes_rates_by_player() -> None:
    """dx = -a (grad_x f + D_xy f dy) and dy = -b (grad_y g + D_yx g dx), solved densely."""
    game, rates = Quadratic(M), {"x": 0.1, "y": 0.4}
    optimizers = {n: torch.optim.SGD(game.parameters(n), lr=lr) for n, lr in rates.items()}
    work = Training(game, FullBatch(IndexSource(1), batch=1), CompetitiveGradientDescent(tolerance=1e-15), optimizers)
    w = game.joint()
    work.step()
    scale = torch.tensor([0.1] * 3 + [0.4] * 3, dtype=torch.float64).diag()
    others = M - torch.block_diag(M[:3, :3], M[3:, 3:])
    step = torch.linalg.solve(torch.eye(6, dtype=torch.float64) + scale @ others, -scale @ M @ w)
    assert (game.joint() - w - step).abs().max() < 1e-14


def test_competitive_gradient_descent_of_a_gan_is_the_equilibrium_of_its_local_game() -> None:
    """dx = -eta (grad_x f + D_xy f dy) for both players, the products taken by central differences of gradients."""
    game, source = small_gan(penalties=[R1(1.0)]), small_source()
    work = training(CompetitiveGradientDescent(tolerance=1e-13), game, Stochastic(source, batch=16), lr=0.5)
    sample, (critic, generator) = source.sample(16), game.players
    work.oracle.draw = lambda: sample
    start, before = game.point(), game.gradients(sample)
    work.step()
    moved = game.point()
    for own, other in ((critic, generator), (generator, critic)):
        sides = []
        for h in (1e-5, -1e-5):
            step = [w + h * (m - w) for w, m in zip(start[other], moved[other], strict=True)]
            with game.at({own: start[own], other: step}):
                sides.append(flat(game.gradients(sample, (own,))))
        expected = -0.5 * (flat({own: before[own]}) + (sides[0] - sides[1]) / 2e-5)
        trained = [i for i, g in enumerate(before[own]) if g is not None]
        got = torch.cat([(moved[own][i] - start[own][i]).flatten() for i in trained])
        assert (got - expected).norm() < 1e-8 * expected.norm()
        assert (expected + 0.5 * flat({own: before[own]})).norm() > 1e-3 * expected.norm(), "the interaction matters"


def test_refusals() -> None:
    adam, infinite = torch.optim.Adam, Stochastic(IndexSource(1), batch=1)
    with pytest.raises(InvalidType, match="reads a snapshot and Stochastic has none: expected SVRG"):
        training(VarianceReducedExtragradient(), oracle=infinite)
    with pytest.raises(InvalidType, match="reads a snapshot and Stochastic has none"):
        training(Lookahead(Alternating(("x", "y"), VarianceReducedExtragradient())), oracle=infinite)
    with pytest.raises(InvalidType, match=r"needs the correction always: SVRG.when is 'helps'"):
        training(VarianceReducedExtragradient(), oracle=SVRG(IndexSource(1), batch=1, when="helps"))
    with pytest.raises(InvalidType, match="differentiates losses: expected Stochastic or FullBatch, not SVRG"):
        training(CompetitiveGradientDescent(), oracle=SVRG(IndexSource(1), batch=1))
    with pytest.raises(InvalidType, match="expected plain SGD with one rate as the optimiser of 'x'"):
        training(CompetitiveGradientDescent(), optimiser=adam)
    with pytest.raises(InvalidType, match="CompetitiveGradientDescent moves all players at once: put it around"):
        Alternating(("x", "y"), CompetitiveGradientDescent())
    with pytest.raises(InvalidType, match="Lookahead moves all players at once: put it around Alternating"):
        Alternating(("x", "y"), Lookahead(Simultaneous()))
    work = training(Lookahead(Simultaneous()))
    with pytest.raises(InvalidType, match="Lookahead moves all players at once: expected no subset, got"):
        work.rule.step(work.game, work.oracle, work.optimizers, ("x",))
    single = FromLosses({"x": lambda s, x: x(s).mean()}, {"x": torch.nn.Linear(1, 1)})
    with pytest.raises(InvalidValue, match=r"is for two players: this game has \['x'\]"):
        training(CompetitiveGradientDescent(), single, infinite)
    with pytest.raises(InvalidValue, match=r"extrapolation is for \['x'\]: expected a number for each of \['x', 'y'\]"):
        training(AlternatingExtrapolation({"x": 2.0}))
    with pytest.raises(InvalidValue, match="Anchored.extrapolate=False. has no half-step"):
        Anchored(extrapolate=False, moments="rewind")
    with pytest.raises(InvalidValue, match="has no half-step: expected no at, "):
        Anchored(extrapolate=False, at="opponent")
    with pytest.raises(InvalidValue, match=r"Lookahead.alpha is 0.0: expected a number > 0 and <= 1"):
        Lookahead(Simultaneous(), alpha=0.0)


def test_competitive_gradient_descent_says_when_scipy_is_missing(monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "scipy.sparse.linalg", None)
    with pytest.raises(InputError, match=r"SciPy, which is not installed: pip install 'manypaths\[study\]'"):
        training(CompetitiveGradientDescent())


@dataclass(eq=False)
class Reflected(Rule):
    """w_{t+1} = w_t - eta F(2 w_t - w_{t-1}) (Malitsky 2015): a new rule, all of it."""

    _last: Remembered = field(default_factory=dict, init=False, repr=False)

    def step(self, game, oracle, optimizers, players=None):
        here = game.point(players)
        last = {name: self._last.get(name, here[name]) for name in here}
        game.move_to({name: [2 * a - b for a, b in zip(here[name], last[name], strict=True)] for name in here})
        gradients = oracle(game, oracle.draw(), here, moves_buffers=True)
        game.move_to(here)
        optimizers.apply(game, gradients)
        self._last.update(remembered(here))
        return StepInfo(gradients.losses)

    def state_dict(self):
        return {"last": dict(self._last)}

    def load_state_dict(self, state):
        self._last = dict(state["last"])


def test_a_new_rule_needs_nothing_but_itself() -> None:
    check_rule(Reflected)
    check_rule(lambda: Alternating(("generator", "critic"), Reflected()))
    check_rule(lambda: Lookahead(Reflected(), k=2))
