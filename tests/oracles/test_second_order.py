"""Consensus and symplectic adjustment against matrices: closed forms, explicit Jacobians, enumeration."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.nn.functional import softplus

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.games.analytic.base import Coordinates
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.games.from_losses import FromLosses
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.oracles.consensus import Consensus
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.jacobian import jacobian_products
from manypaths.oracles.second_order import Pair
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.symplectic import Symplectic
from manypaths.penalties.dragan import Dragan
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.penalties.r1 import R1
from manypaths.sources.base import Index, IndexSource
from manypaths.sources.gan_sample import GanSample
from manypaths.testing.closed_forms import curved_rotation
from manypaths.testing.conformance import mean_estimate, small_gan, small_source
from manypaths.vectors import Gradients, dot, flat

M = curved_rotation()
GAMMA = 0.7


def consensus_field(jacobian: Tensor, field: Tensor) -> Tensor:
    return field + GAMMA * jacobian.mT @ field


def symplectic_field(jacobian: Tensor, field: Tensor, sign: float = 1.0) -> Tensor:
    return field + sign * GAMMA * (jacobian.mT - jacobian) @ field / 2


FIELDS = {Consensus: consensus_field, Symplectic: symplectic_field}


def small_sum(n: int = 7, d: int = 2) -> tuple[Quadratic, IndexSource]:
    """A few noisy component functions with curvature, interaction and offsets."""
    generator = torch.Generator().manual_seed(2)
    matrices = torch.stack([curved_rotation(d, seed) for seed in range(n)])
    offsets = torch.randn(n, 2 * d, generator=generator, dtype=torch.float64)
    return Quadratic(matrices, offsets), IndexSource(n)


def small_sample(n: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda k: torch.randn(n, k, generator=generator, dtype=torch.float64)  # noqa: E731
    return GanSample(draw(2), draw(3), torch.arange(n))


@pytest.mark.parametrize("make", FIELDS)
def test_closed_form_column_by_column(make) -> None:
    columns, of_y = [], []
    for unit in torch.eye(len(M), dtype=M.dtype):
        game = Quadratic(M, start=unit)
        oracle = make(FullBatch(IndexSource(1), batch=1), weight=GAMMA)
        columns.append(flat(oracle(game, oracle.draw())))
        of_y.append(flat(oracle(game, oracle.draw(), ("y",))))
    expected = FIELDS[make](M, M)
    assert (torch.stack(columns, 1) - expected).abs().max() < 1e-13
    assert (torch.stack(of_y, 1) - expected[3:]).abs().max() < 1e-13, "one player's entries of the full adjusted field"


@pytest.mark.parametrize("make", FIELDS)
def test_independent_pairs_are_unbiased_and_one_batch_is_off_by_what_is_said(make) -> None:
    game, source = small_sum()
    w, jacobian = game.joint(), game.jacobian()
    expected = FIELDS[make](jacobian, game.field(w))
    full = FullBatch(source, batch=1, chunk=3)
    assert (mean_estimate(game, make(full, weight=GAMMA)) - expected).norm() < 1e-13
    pairs = make(Stochastic(source, batch=1), weight=GAMMA)
    assert len(list(pairs.outcomes())) == 49
    assert (mean_estimate(game, pairs) - expected).norm() < 1e-12
    bias = mean_estimate(game, make(Stochastic(source, batch=1), weight=GAMMA, independent=False)) - expected
    if make is Consensus:
        rows = lambda v: torch.einsum("nij,j->ni", game.matrices, v) + game.offsets  # noqa: E731
        half_trace = lambda v: 0.5 * rows(v).var(0, correction=0).sum()  # noqa: E731
        assert (bias - GAMMA * torch.func.grad(half_trace)(w)).norm() < 1e-12
    assert bias.norm() > 1e-2


def test_alignment_chooses_the_sign() -> None:
    signs = set()
    for scale in (10.0, -10.0):
        for seed in range(4):
            m = scale * curved_rotation(seed=seed)
            game = Quadratic(m)
            field = m @ game.joint()
            slope, turn = m.mT @ field, (m.mT - m) @ field / 2
            sign = float(torch.sign((field @ slope) * (turn @ slope) / len(m) + 0.1))
            oracle = Symplectic(FullBatch(IndexSource(1), batch=1), weight=GAMMA, align=True)
            assert (flat(oracle(game, oracle.draw())) - symplectic_field(m, field, sign)).norm() < 1e-10
            signs.add(sign)
    assert signs == {1.0, -1.0}


def test_against_the_explicit_jacobian_of_a_gan() -> None:
    generator, critic = MlpGenerator(latent=3, hidden=(6,)).double(), MlpCritic(hidden=(5,)).double()
    game = Adversarial(generator, critic, objective=NonSaturating())
    sample, other = small_sample(6), small_sample(6, seed=1)
    shapes = [p.shape for name in game.players for p in game.parameters(name)]
    names = [dict(net.named_parameters()) for net in (critic, generator)]
    split = sum(p.numel() for p in names[0].values())

    def field(w: Tensor, sample) -> Tensor:
        def loss(own: Tensor, others: Tensor, player: int) -> Tensor:
            joint = torch.cat([own, others] if player == 0 else [others, own])
            pieces = joint.split([s.numel() for s in shapes])
            tensors = iter([piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)])
            weights = [{name: next(tensors) for name in net} for net in names]
            fake = functional_call(critic, weights[0], functional_call(generator, weights[1], sample.latent))
            if player == 1:
                return softplus(-fake).mean()
            return softplus(-functional_call(critic, weights[0], sample.real)).mean() + softplus(fake).mean()

        ours, theirs = w[:split], w[split:]
        return torch.cat([torch.func.grad(loss)(ours, theirs, 0), torch.func.grad(loss)(theirs, ours, 1)])

    w = flat(game.point())
    assert (flat(game.gradients(sample)) - field(w, sample)).abs().max() < 1e-14
    jacobian = jacrev(field)(w, sample)
    source = small_source(8)
    for make, formula in FIELDS.items():
        single = make(Stochastic(source, batch=6), weight=GAMMA, independent=False)
        assert (flat(single(game, sample)) - formula(jacobian, field(w, sample))).abs().max() < 1e-13
        a, b = field(w, other), field(w, sample)
        pair = flat(make(Stochastic(source, batch=6), weight=GAMMA)(game, Pair(other, sample)))
        assert (pair - ((a + b) / 2 + formula(jacobian, a) - a)).abs().max() < 1e-13


NORMS = {
    "none": lambda n: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
    "group": partial(nn.GroupNorm, 1),
}


def normalised_gan(norm: str, penalty=None) -> Adversarial:
    """Smooth networks (no kinks for finite differences to fall into)."""
    layer = NORMS[norm]
    generator = nn.Sequential(nn.Linear(3, 6), layer(6), nn.Tanh(), nn.Linear(6, 2))
    critic = nn.Sequential(nn.Linear(2, 5), layer(5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))
    penalties = () if penalty is None else (penalty,)
    return Adversarial(generator.double(), critic.double(), objective=NonSaturating(), penalties=penalties)


@pytest.mark.parametrize(
    ("norm", "penalty"),
    [(norm, None) for norm in NORMS]
    + [(norm, p) for norm in ("none", "group") for p in (R1(), GradientPenalty(), Dragan(std=0.6))],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
def test_products_equal_finite_differences_of_the_field(norm, penalty) -> None:
    """No second derivative is lost on the way: not the penalty's dependence on the generator either."""
    game = normalised_gan(norm, penalty)
    sample = small_sample(6)
    v, u = (
        Gradients({n: [torch.randn_like(p) for p in game.parameters(n)] for n in game.players}, {}) for _ in range(2)
    )
    ahead = jacobian_products(game, sample, v, forward=True)
    back = jacobian_products(game, sample, u, forward=False)
    here, step = game.point(), 1e-6
    sides = []
    for sign in (1.0, -1.0):
        with game.at({n: [w + sign * step * d for w, d in zip(here[n], v[n], strict=True)] for n in here}):
            sides.append(flat(game.gradients(sample)))
    slope, found = (sides[0] - sides[1]) / (2 * step), flat(ahead.forward)
    assert (found - slope).norm() < 1e-6 * slope.norm()
    assert dot(u, ahead.forward) == pytest.approx(dot(back.transposed, v), rel=1e-10)
    assert (flat(ahead.field) - flat(game.gradients(sample))).norm() < 1e-13 * flat(ahead.field).norm()


@pytest.mark.parametrize(("make", "products"), [(Consensus, 1), (Symplectic, 2)])
def test_costs(make, products) -> None:
    game, source = small_gan(), small_source(24)
    for oracle, cost in (
        (make(Stochastic(source, batch=8)), 8 + (1 + products) * 8),
        (make(Stochastic(source, batch=8), independent=False), (1 + products) * 8),
        (make(FullBatch(source, chunk=10)), (2 + products) * 24),
    ):
        oracle.bind(game)
        oracle(game, oracle.draw(), ("critic",))
        assert dict(oracle.evaluations) == {"critic": cost, "generator": cost}, "the whole field is needed, and paid"


def test_one_evaluation_moves_buffers_and_unused_parameters_have_no_gradient() -> None:
    game, source = small_gan(), small_source(24)
    critic = game.players["critic"]
    calls = critic.get_buffer("calls")
    game.gradients(source.sample(8), moves_buffers=True)
    once = float(calls)
    for make in FIELDS:
        for inner in (Stochastic(source, batch=8), FullBatch(source, chunk=10)):
            oracle = make(inner)
            oracle.bind(game)
            before = float(calls)
            estimate = oracle(game, oracle.draw(), moves_buffers=True)
            assert float(calls) - before == once
            unused = [p is critic.get_parameter("unused") for p in game.parameters("critic")].index(True)
            assert estimate["critic"][unused] is None
            assert not game.second_order


class _Biased(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.ones(2))


def test_constant_gradients_have_no_slope() -> None:
    players = {"x": _Biased(), "y": Coordinates(torch.tensor([2.0, 3.0]))}
    game = FromLosses({"x": lambda s, x, y: x.bias.sum(), "y": lambda s, x, y: (y.weight**3).sum() / 6}, players)
    sample = Index(torch.tensor([0]))
    found = jacobian_products(game, sample, None, forward=True)
    assert found.transposed["x"] == found.forward["x"] == [None]
    y = torch.tensor([2.0, 3.0])
    assert torch.allclose(found.transposed["y"][0], y**3 / 2)
    assert torch.allclose(found.forward["y"][0], y**3 / 2)
    all_constant = FromLosses({"x": lambda s, x: x.bias.sum()}, {"x": _Biased()})
    assert jacobian_products(all_constant, sample, None, forward=True).forward == {"x": [None]}


def test_consensus_contracts_the_rotation_that_descent_expands() -> None:
    game = Bilinear(torch.ones(1, 1, dtype=torch.float64))
    oracle = Consensus(FullBatch(IndexSource(1), batch=1), weight=1.0)
    for _ in range(60):
        step = oracle(game, oracle.draw())
        game.move_to({n: [w - 0.3 * g for w, g in zip(ws, step[n], strict=True)] for n, ws in game.point().items()})
    assert game.joint().norm() < 1e-4


def test_refusals() -> None:
    source = IndexSource(5)
    with pytest.raises(InvalidType, match="Consensus.oracle is SVRG: expected Stochastic or FullBatch, for a prod"):
        Consensus(SVRG(source, batch=1))
    with pytest.raises(InvalidType, match="Symplectic.oracle is Consensus: expected Stochastic or FullBatch"):
        Symplectic(Consensus(Stochastic(source, batch=1)))
    with pytest.raises(InvalidType, match="Consensus.oracle is <.*IndexSource.*>: expected Oracle"):
        Consensus(source)
    with pytest.raises(
        InvalidValue, match="Symplectic.independent is False over FullBatch, which is exact: expected True"
    ):
        Symplectic(FullBatch(source, batch=1), independent=False)
    with pytest.raises(InvalidValue, match="Consensus.weight is 0.0: expected a number > 0"):
        Consensus(Stochastic(source, batch=1), weight=0)


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.filterwarnings("ignore:.*use a critic without BatchNorm")
def test_third_derivatives_that_torch_gets_wrong_are_refused(norm) -> None:
    oracle = Consensus(Stochastic(small_source(8), batch=4))
    with pytest.raises(InvalidType, match=r"takes third derivatives of (Batch|Layer)Norm.* under GradientPenalty"):
        oracle.bind(normalised_gan(norm, GradientPenalty()))
    oracle.bind(normalised_gan(norm))
    x, v = torch.randn(6, 5, dtype=torch.float64, requires_grad=True), torch.randn(6, 5, dtype=torch.float64)
    layer = NORMS[norm](5).double()
    dim = 0 if norm == "batch" else 1
    by_hand = lambda x: (x - x.mean(dim, True)) / (x.var(dim, keepdim=True, correction=0) + 1e-5).sqrt()  # noqa: E731
    thirds = []
    for function in (layer, by_hand):
        value = function(x).tanh().sum()
        for _ in range(3):
            value = (torch.autograd.grad(value, x, create_graph=True)[0] * v).sum()
        thirds.append(float(value.detach()))
    assert abs(thirds[0] - thirds[1]) > 1e-3, "torch has mended this: the refusal can go"
