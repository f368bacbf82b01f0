"""The maps of rules that remember, over several steps, equal products of companion matrices."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from manypaths.games.analytic.bilinear import Bilinear
from manypaths.optim.negative_momentum import NegativeMomentumSGD
from manypaths.rules.alternating import Alternating
from manypaths.rules.alternating_extrapolation import AlternatingExtrapolation
from manypaths.rules.anchored import Anchored
from manypaths.rules.competitive import CompetitiveGradientDescent
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.optimistic import Optimistic
from manypaths.rules.past_extragradient import PastExtragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.testing import closed_forms as forms

LR = 0.1
M = forms.curved_rotation()
ROTATION = Bilinear(torch.ones(1, 1, dtype=torch.float64)).jacobian()
STEPS = (1, 2, 3, 7)
REMEMBERING = {
    "past": (PastExtragradient, forms.past_extragradient(LR), 0.0),
    "past, rewound": (lambda: PastExtragradient(moments="rewind"), forms.past_extragradient(LR), 0.0),
    "optimistic": (Optimistic, forms.optimistic(LR), 0.0),
    "half optimistic": (lambda: Optimistic(optimism=0.5), forms.optimistic(LR, 0.5), 0.0),
    "optimistic update": (lambda: Optimistic(of="update"), forms.optimistic(LR), 0.0),
    "half optimistic update": (lambda: Optimistic(of="update", optimism=0.5), forms.optimistic(LR, 0.5), 0.0),
    "anchored": (Anchored, forms.anchored(LR), 1.0),
    "halpern": (lambda: Anchored(extrapolate=False), forms.anchored(LR, extrapolate=False), 1.0),
    "simultaneous": (Simultaneous, forms.optimistic(LR, 0.0), 0.0),
}


def gap(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


def radius(matrix: torch.Tensor) -> float:
    return float(torch.linalg.eigvals(matrix).abs().max())


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", REMEMBERING)
def test_alone(name, steps) -> None:
    make, turn, memory = REMEMBERING[name]
    expected = forms.remembering(M, [("x", "y")] * steps, turn, memory=memory)
    assert gap(forms.affine_map(make, M, lr=LR, steps=steps), expected) < 1e-13


@pytest.mark.parametrize("order", [("x", "y"), ("y", "x"), ("x", "x", "y")])
@pytest.mark.parametrize("name", REMEMBERING)
def test_inside_alternating(name, order) -> None:
    make, turn, memory = REMEMBERING[name]
    expected = forms.remembering(M, [(player,) for player in order] * 4, turn, memory=memory)
    assert gap(forms.affine_map(lambda: Alternating(order, make()), M, lr=LR, steps=4), expected) < 1e-13


@pytest.mark.parametrize("c", [(2.0, 2.0), (1.5, 2.5), (1.0, 1.0), (0.0, 1.0)])
def test_alternating_extrapolation(c) -> None:
    make = lambda: AlternatingExtrapolation(c[0] if c[0] == c[1] else dict(zip("xy", c, strict=True)))  # noqa: E731
    turn = forms.alternating_extrapolation(LR, *c)
    for order in [("x", "y"), ("y", "x"), ("x", "x", "y")]:
        expected = forms.remembering(M, [(player,) for player in order] * 4, turn, memory=1.0)
        assert (
            gap(forms.affine_map(lambda order=order: Alternating(order, make()), M, lr=LR, steps=4), expected) < 1e-13
        )
    alone = forms.affine_map(make, M, lr=LR, steps=4)
    assert gap(alone, forms.affine_map(lambda: Alternating(("x", "y"), make()), M, lr=LR, steps=4)) < 1e-15
    known = {(1.0, 1.0): lambda: Alternating(("x", "y")), (0.0, 1.0): Simultaneous}
    if c in known:
        assert gap(alone, forms.affine_map(known[c], M, lr=LR, steps=4)) < 1e-13


def test_alternating_extrapolation_contracts_where_alternating_play_circles() -> None:
    maps = {
        c: forms.affine_map(lambda c=c: AlternatingExtrapolation(c), ROTATION, lr=LR, steps=500) for c in (1.0, 2.0)
    }
    assert abs(radius(maps[1.0]) - 1.0) < 1e-12
    assert radius(maps[2.0]) < 0.1


@pytest.mark.parametrize("steps", [1, 2, 5, 6, 13])
@pytest.mark.parametrize("make", [Simultaneous, Extragradient, lambda: Alternating(("x", "x", "y"))])
def test_lookahead(make, steps) -> None:
    inner = forms.affine_map(make, M, lr=LR)
    got = forms.affine_map(lambda: Lookahead(make(), k=3, alpha=0.3), M, lr=LR, steps=steps)
    assert gap(got, forms.lookahead(inner, 3, 0.3, steps)) < 1e-13


def test_nested_lookahead() -> None:
    """The outer sync moves the inner slow weights too, so an outer step is the map of a finished inner lookahead."""
    sync = forms.lookahead(forms.simultaneous(M, LR), 2, 0.5, 6)
    got = forms.affine_map(lambda: Lookahead(Lookahead(Simultaneous(), k=2), k=6, alpha=0.25), M, lr=LR, steps=12)
    assert gap(got, forms.lookahead(sync, 1, 0.25, 2)) < 1e-13


def test_competitive() -> None:
    make = partial(CompetitiveGradientDescent, tolerance=1e-15)
    assert gap(forms.affine_map(make, M, lr=LR), forms.competitive(M, LR)) < 1e-13
    general = M + 0.3 * torch.randn(6, 6, dtype=M.dtype).triu(3).tril(3)  # not zero-sum: the system is not symmetric
    assert gap(forms.affine_map(make, general, lr=LR), forms.competitive(general, LR)) < 1e-13
    # min_x max_y xy by hand: dx = -eta (y + eta x) / (1 + eta^2), dy = eta (x - eta y) / (1 + eta^2)
    by_hand = torch.tensor([[1.0, -LR], [LR, 1.0]], dtype=M.dtype) / (1 + LR**2)
    assert gap(forms.affine_map(make, ROTATION, lr=LR), by_hand) < 1e-15
    inside = forms.affine_map(lambda: Lookahead(make(), k=2), ROTATION, lr=LR, steps=4)
    assert gap(inside, forms.lookahead(by_hand, 2, 0.5, 4)) < 1e-13


@pytest.mark.parametrize("beta", [-0.5, -0.1, 0.5])
def test_negative_momentum(beta) -> None:
    base = partial(NegativeMomentumSGD, momentum=beta)
    turn = forms.negative_momentum(LR, beta)
    alone = forms.affine_map(Simultaneous, M, lr=LR, steps=7, base=base)
    assert gap(alone, forms.remembering(M, [("x", "y")] * 7, turn)) < 1e-13
    inside = forms.affine_map(lambda: Alternating(("x", "y")), M, lr=LR, steps=5, base=base)
    assert gap(inside, forms.remembering(M, [("x",), ("y",)] * 5, turn)) < 1e-13


@pytest.mark.parametrize(("beta", "low", "high"), [(-0.5, 0.9, 0.97), (0.0, 1 - 1e-12, 1 + 1e-12), (0.5, 1.1, 1.5)])
def test_negative_momentum_damps_alternating_play_of_the_bilinear_game(beta, low, high) -> None:
    """Gidel et al. 2019: alternating play of min_x max_y xy converges with a negative momentum only.

    x' = x - eta y + beta (x - x_-),  y' = y + eta x' + beta (y - y_-), as a companion matrix on (x, x_-, y, y_-).
    """
    eta, b = 0.5, beta
    move_x = torch.tensor([[1 + b, -b, -eta, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=M.dtype)
    move_y = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [eta, 0, 1 + b, -b], [0, 0, 1, 0]], dtype=M.dtype)
    assert low < radius(move_y @ move_x) < high
    start = torch.eye(2, dtype=M.dtype).repeat_interleave(2, 0)  # x_- = x and y_- = y
    expected = (torch.linalg.matrix_power(move_y @ move_x, 30) @ start)[[0, 2]]
    base = partial(NegativeMomentumSGD, momentum=beta)
    got = forms.affine_map(lambda: Alternating(("x", "y")), ROTATION, lr=eta, steps=30, base=base)
    assert gap(got, expected) < 1e-13 * float(expected.abs().max() + 1)
