"""Metrics of a game at a point: closed forms, dense Jacobians, and nothing moves."""

from __future__ import annotations

import math
import sys
from functools import partial

import pytest
import torch
from torch import nn

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.games.analytic.coordinatewise import Coordinatewise
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.games.base import Game
from manypaths.games.from_losses import FromLosses
from manypaths.metrics.distance import distance_to_solution
from manypaths.metrics.duality_gap import duality_gap
from manypaths.metrics.field_norm import field_norm, hamiltonian
from manypaths.metrics.jacobian import FieldJacobian
from manypaths.metrics.jacobian_spectrum import jacobian_spectrum
from manypaths.metrics.path_angle import path_angle
from manypaths.metrics.rotation_ratio import rotation_ratio
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.penalties.r1 import R1
from manypaths.penalties.weight_clipping import WeightClipping
from manypaths.sources.base import Index, IndexSource
from manypaths.testing.conformance import small_gan, small_source
from manypaths.vectors import flat

SGD = partial(torch.optim.SGD, lr=0.2)
ONE = Index(torch.zeros(1, dtype=torch.int64))


def spiral(pull: float, turn: float, start=(1.0, 1.0)) -> Quadratic:
    """F(x, y) = (pull x + turn y, pull y - turn x)."""
    matrix = torch.tensor([[pull, turn], [-turn, pull]], dtype=torch.float64)
    return Quadratic(matrix, start=torch.tensor(start, dtype=torch.float64))


def tiny_gan(*penalties) -> Adversarial:
    game = Adversarial(
        MlpGenerator(latent=4, hidden=(6,)), MlpCritic(hidden=(6,)), objective=NonSaturating(), penalties=penalties
    )
    for module in game.players.values():
        module.double()
    return game


def by_autograd(game: Quadratic) -> Game:
    """The same game without its closed forms."""
    x, y = (nn.ParameterList([p.detach().clone()]) for name in game.players for p in game.parameters(name))

    def loss(player, sample, x, y):
        return game.values(torch.cat([x[0], y[0]]), sample.index)[player]

    return FromLosses({"x": partial(loss, 0), "y": partial(loss, 1)}, {"x": x, "y": y})


def dense_jacobian(game: Adversarial, sample) -> torch.Tensor:
    """J by ``torch.func.jacrev`` of the field as a function of one flat vector."""

    class Losses(nn.Module):
        def __init__(self):
            super().__init__()
            self.critic, self.generator = game.critic, game.generator

        def forward(self, which):
            return game.losses(sample, ("critic", "generator"))[which]

    module = Losses()
    names = [name for name, _ in module.named_parameters()]
    shapes = [p.shape for p in module.parameters()]

    def field(w):
        pieces = w.split([shape.numel() for shape in shapes])
        parts = {name: t.view(shape) for name, t, shape in zip(names, pieces, shapes, strict=True)}
        by_player = {
            which: torch.func.grad(lambda p, which=which: torch.func.functional_call(module, p, (which,)))(parts)
            for which in game.players
        }
        return torch.cat([by_player[name.split(".")[0]][name].reshape(-1) for name in names])

    with game.differentiated_twice():
        return torch.func.jacrev(field)(torch.cat([p.detach().reshape(-1) for p in module.parameters()]))


def traces(game: Game) -> list[torch.Tensor]:
    return [t.clone() for t in [flat(game.point()), *game.buffers()]]


# ---- where the field is -------------------------------------------------------------------------------------------


def test_distance_is_per_player_and_batched() -> None:
    game = Coordinatewise(3)
    game.move_to({name: [p + 2.0] for name, p in game.split(game.solution()).items()})
    assert distance_to_solution(game).tolist() == pytest.approx([2 * 3**0.5] * 2, rel=1e-14)
    w = game.solution() + torch.eye(6, dtype=torch.float64).view(2, 3, 6)
    expected = torch.tensor([[[1.0, 0.0]] * 3, [[0.0, 1.0]] * 3], dtype=torch.float64)
    assert torch.allclose(distance_to_solution(game, w), expected, rtol=0, atol=1e-14)


def test_field_norm_by_hand_and_over_chunks(finite_sum) -> None:
    game = spiral(3.0, 4.0, start=(1.0, 0.0))
    assert field_norm(game, ONE) == pytest.approx(5.0, rel=1e-15)
    assert field_norm(game, ONE, ["x"]) == pytest.approx(3.0, rel=1e-15)
    assert hamiltonian(game, ONE) == pytest.approx(12.5, rel=1e-15)
    game, source = finite_sum
    assert field_norm(game, source.all(7)) == pytest.approx(float(game.field(game.joint()).norm()), rel=1e-13)


def test_the_path_angle_tells_attraction_from_rotation() -> None:
    zero = {"x": [torch.zeros(1).double()], "y": [torch.zeros(1).double()]}
    for pull, turn in ((2.0, 0.0), (0.0, 2.0), (1.0, 1.0)):
        game = spiral(pull, turn)
        found = path_angle(game, ONE, game.point(), zero, alphas=(0.0, 0.5, 1.5))
        cosine, size = pull / math.hypot(pull, turn), math.hypot(pull, turn) * 2**0.5
        assert found.cosine == pytest.approx((-cosine, -cosine, cosine), abs=1e-15)
        assert found.norm == pytest.approx((size, size / 2, size / 2), rel=1e-14)
    assert math.isnan(path_angle(game, ONE, game.point(), zero, alphas=(1.0,)).cosine[0])
    with pytest.raises(InvalidValue, match="start and end are the same point"):
        path_angle(game, ONE, zero, zero)


def test_the_path_angle_of_one_player_over_chunks(finite_sum) -> None:
    game, source = finite_sum
    end = {name: [p + 1.0 for p in part] for name, part in game.point().items()}
    found = path_angle(game, source.all(20), game.point(), end, alphas=(0.25,), players=["x"])
    field = game.field(game.joint() + 0.25 * torch.tensor([1.0] * 3 + [0.0] * 3, dtype=torch.float64))[:3]
    assert found.norm[0] == pytest.approx(float(field.norm()), rel=1e-13)
    assert found.cosine[0] == pytest.approx(float(field.sum() / field.norm() / 3**0.5), rel=1e-12)


# ---- its Jacobian -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalties", [(), (R1(),), (GradientPenalty(),)])
def test_the_spectrum_of_a_gan_is_that_of_its_dense_jacobian(penalties) -> None:
    game, sample = tiny_gan(*penalties), small_source().sample(16)
    exact = torch.linalg.eigvals(dense_jacobian(game, sample))
    for which, rank in {"largest": exact.abs(), "leftmost": -exact.real, "rightmost": exact.real}.items():
        found = jacobian_spectrum(game, sample, k=3, which=which)
        assert found.shape == (3,)
        assert found.dtype == torch.complex128
        best = exact[rank.argsort(descending=True)[:3]]
        assert (found.real - best.real).abs().max() < 1e-8 * (1 + best[0].abs())
        assert (found.imag.abs() - best.imag.abs()).abs().max() < 1e-8 * (1 + best[0].abs())


def test_products_are_finite_differences_of_the_field_through_penalties_too() -> None:
    game, sample = tiny_gan(GradientPenalty()), small_source().sample(16)
    jacobian = FieldJacobian(game, sample)
    v = torch.randn(jacobian.size, dtype=torch.float64)

    def field_at(step: float) -> torch.Tensor:
        parts = iter((step * v).split([p.numel() for p in jacobian.weights]))
        there = {name: [p + next(parts).view_as(p) for p in ps] for name, ps in game.point().items()}
        with game.at(there):
            return flat(game.gradients(sample))

    h = 1e-6
    difference = (field_at(h) - field_at(-h)) / (2 * h)
    back, ahead = jacobian.both(v)
    assert (ahead - difference).norm() < 1e-6 * difference.norm()
    assert torch.equal(back, jacobian.transposed(v))
    u = torch.randn_like(v)
    assert float(u @ ahead) == pytest.approx(float(v @ jacobian.transposed(u)), rel=1e-10)


def test_the_spectrum_of_a_game_in_closed_form() -> None:
    game = spiral(0.5, 2.0)
    for same in (game, by_autograd(game)):
        assert jacobian_spectrum(same, ONE).tolist() == pytest.approx([0.5 + 2.0j, 0.5 - 2.0j], abs=1e-14)
    noisy = Coordinatewise(30, rotation=0.5)
    pair = jacobian_spectrum(noisy, Index(torch.tensor([3, 3, 7, 3])), k=4)
    half = 0.5**0.5
    expected = [0.75 * (half + half * 1j), 0.75 * (half - half * 1j), 0.25 * (half + half * 1j)]
    assert pair.tolist()[:3] == pytest.approx(expected, abs=1e-14)


def test_arnoldi_says_when_it_fails() -> None:
    with pytest.raises(InvalidValue, match=r"Arnoldi's method found \d of 4 eigenvalues in 1 restarts"):
        jacobian_spectrum(tiny_gan(), small_source().sample(4), k=4, restarts=1)


def test_rotation_ratio_by_hand_by_probes_and_dense() -> None:
    game = spiral(1.0, 2.0)
    exact = rotation_ratio(game, ONE)
    assert (exact.ratio, exact.standard_error, exact.squared_norm) == pytest.approx((0.8, 0.0, 10.0), abs=1e-15)
    assert rotation_ratio(by_autograd(game), ONE, probes=2).ratio == pytest.approx(0.8, rel=1e-14), (
        "J'J = 5 I: no noise"
    )
    gan, sample = tiny_gan(R1()), small_source().sample(16)
    matrix = dense_jacobian(gan, sample)
    true = float((matrix - matrix.T).square().sum() / 4 / matrix.square().sum())
    found = [rotation_ratio(gan, sample, probes=8, seed=s) for s in range(20)]
    errors = torch.tensor([(f.ratio - true) / f.standard_error for f in found])
    assert 0.5 < float(errors.square().mean()) < 2, "the stated standard error is not the deviation"
    assert abs(sum(f.squared_norm for f in found) / 20 / float(matrix.square().sum()) - 1) < 0.1
    with pytest.raises(InvalidValue, match="probes is 1: expected at least 2"):
        rotation_ratio(by_autograd(game), ONE, probes=1)


# ---- what could still be gained -----------------------------------------------------------------------------------


def test_the_duality_gap_of_a_convex_concave_quadratic() -> None:
    game = Quadratic.monotone(1, 3, family="rotation", mu=0.5, L=2.0)
    w, d = game.joint(), 3
    field, matrix = game.field(w), game.jacobian()
    found = duality_gap(game, ONE, steps=400, optimiser=partial(torch.optim.SGD, lr=0.5))
    for k, name in enumerate(game.players):
        own = slice(k * d, (k + 1) * d)
        best = 0.5 * float(field[own] @ torch.linalg.solve(matrix[own, own], field[own]))
        assert found.gains[name] == pytest.approx(best, rel=1e-8)
    assert found.gap == pytest.approx(sum(found.gains.values()), rel=1e-15)
    game.move_to({name: [part] for name, part in game.split(game.solution()).items()})
    assert duality_gap(game, ONE, steps=20, optimiser=SGD).gap < 1e-15


def test_a_radius_makes_the_gap_local() -> None:
    game = spiral(1.0, 2.0)
    found = duality_gap(game, ONE, steps=200, radius=0.25, optimiser=SGD)
    # L_x falls by g r - r^2 / 2 on the ball of radius r, with g = |F_x| = 3 and |F_y| = 1
    assert found.gains == pytest.approx({"x": 3 * 0.25 - 0.25**2 / 2, "y": 0.25 - 0.25**2 / 2}, rel=1e-12)


@pytest.mark.parametrize("radius", [None, 10.0])
def test_under_weight_clipping_the_answers_stay_in_the_box(radius) -> None:
    game = spiral(1.0, 2.0)
    game.projections = {"x": WeightClipping(1.0), "y": WeightClipping(1.0)}
    found = duality_gap(game, ONE, steps=200, radius=radius, optimiser=SGD)
    # L_x = v^2 / 2 + 2 v falls from 2.5 at v = 1 to -1.5 at -1 (its minimum is at -2), L_y falls up to v = 2
    assert found.gains == pytest.approx({"x": 4.0, "y": 0.0}, abs=1e-12)


def test_a_gain_is_never_negative_and_held_out_gains_may_be() -> None:
    game = Quadratic(
        torch.eye(2, dtype=torch.float64).expand(2, 2, 2), torch.tensor([[1.0, 1.0], [-3.0, -3.0]], dtype=torch.float64)
    )
    blow_up = partial(torch.optim.SGD, lr=100.0)
    assert duality_gap(game, ONE, steps=5, optimiser=blow_up).gap == 0.0
    other = duality_gap(game, ONE, held_out=Index(torch.ones(1, dtype=torch.int64)), steps=100, optimiser=SGD)
    # on component function 0 the best answer is w = -1, on component function 1 the loss w^2 / 2 - 3w rises from -2.5
    # to 3.5
    assert other.gains == pytest.approx({"x": -6.0, "y": -6.0}, rel=1e-8)


# ---- and nothing moves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "measure",
    [
        field_norm,
        lambda game, s: path_angle(game, s, game.point(), {n: [p + 1 for p in ps] for n, ps in game.point().items()}),
        partial(jacobian_spectrum, k=2, tolerance=1e-2),
        partial(rotation_ratio, probes=2),
        partial(duality_gap, steps=3, radius=0.01),
    ],
    ids=["field norm", "path angle", "spectrum", "rotation", "gap"],
)
def test_measuring_moves_nothing(measure) -> None:
    game, source = small_gan(penalties=[R1()]), small_source()
    for p in game.parameters("critic"):
        p.grad = torch.ones_like(p)
    kept = [p.grad for p in game.parameters("critic")]
    before, drawn, noise = traces(game), source.state_dict()["generator"], torch.get_rng_state()
    places = [p.data_ptr() for name in game.players for p in game.parameters(name)]
    measure(game, next(source.all(8)))
    assert all(torch.equal(a, b) for a, b in zip(before, traces(game), strict=True))
    assert torch.equal(drawn, source.state_dict()["generator"])
    assert torch.equal(noise, torch.get_rng_state())
    assert places == [p.data_ptr() for name in game.players for p in game.parameters(name)]
    assert all(p.grad is g for p, g in zip(game.parameters("critic"), kept, strict=True))
    assert all(torch.equal(g, torch.ones_like(g)) for g in kept)
    assert all(p.grad is None for p in game.parameters("generator"))


def test_over_a_finite_source_too() -> None:
    game = Coordinatewise(5, noise=False)
    assert field_norm(game, IndexSource(5).all(2)) == pytest.approx(float(game.start.norm()) / 5, rel=1e-14)


def test_scipy_is_asked_for_by_name(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.sparse.linalg", None)
    with pytest.raises(InvalidType, match="jacobian_spectrum needs scipy, which is not installed"):
        jacobian_spectrum(tiny_gan(), small_source().sample(4), k=2)
