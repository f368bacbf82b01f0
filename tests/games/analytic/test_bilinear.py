"""Structured and general bilinear games, and the noise experiment with its minimisation shadow copy."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidValue
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.analytic.coordinatewise import Coordinatewise


def test_coordinatewise_is_the_dense_bilinear_game() -> None:
    n = 5
    game = Coordinatewise(n, seed=3)
    eye = torch.eye(n, dtype=torch.float64)
    dense = Bilinear(
        eye[:, :, None] * eye[:, None, :],
        x_terms=game.offsets[:, :n],
        y_terms=-game.offsets[:, n:],
        start=game.start,
    )
    index = torch.tensor([4, 0, 4])
    w = game.start + 1
    assert torch.equal(game.start, dense.start)
    for name in ("field", "values", "jacobian"):
        assert (getattr(game, name)(w, index) - getattr(dense, name)(w, index)).abs().max() < 1e-14
    assert (game.solution() - dense.solution()).abs().max() < 1e-13
    assert isinstance(Bilinear.coordinatewise(n), Coordinatewise)


def test_coordinatewise_is_small_and_its_difference_sparse() -> None:
    n = 1000
    game = Coordinatewise(n)
    stored = sum(t.numel() for t in vars(game).values() if isinstance(t, torch.Tensor))
    assert stored <= 2 * n * n + 6 * n
    w, v = torch.randn(2, 4, 2 * n, dtype=torch.float64)
    index = torch.randint(n, (4, 3))
    difference = game.difference(w, v, index)
    assert int((difference != 0).sum()) <= 4 * 2 * 3


def extragradient_factor(game: Coordinatewise, lr: float) -> float:
    """E ||w_{t+1}||^2 / ||w_t||^2 over all n^2 pairs of independent samples, by enumeration."""
    n = game.size
    first, second = torch.arange(n).repeat_interleave(n)[:, None], torch.arange(n).repeat(n)[:, None]
    w = game.start.expand(n * n, -1)
    half = w - lr * game.field(w, first)
    return float((w - lr * game.field(half, second)).square().sum(1).mean() / game.start.square().sum())


@pytest.mark.parametrize(("n", "lr"), [(10, 0.3), (40, 0.1)])
def test_the_same_noise_expands_the_game_and_contracts_the_minimisation(n, lr) -> None:
    bilinear = extragradient_factor(Coordinatewise(n, noise=False), lr)
    assert bilinear - 1 == pytest.approx((1 / n) * (1 - 1 / n) * lr**2 - (lr**2 - lr**4) / n**2, abs=1e-13)
    shadow = extragradient_factor(Coordinatewise(n, noise=False, rotation=0.0), lr)
    assert shadow - 1 == pytest.approx(-2 * lr / n * (1 - lr / n) + lr**2 / n * (1 - 2 * lr / n + lr**2 / n), abs=1e-13)
    assert shadow < 1 < bilinear


def test_the_spectrum_of_a_bilinear_game_is_the_chosen_one() -> None:
    spectrum = [2.0, 1.0, 0.25]
    game = Bilinear.with_spectrum(6, spectrum, noise=0.0)
    mean = game.jacobian()[:3, 3:]
    assert torch.linalg.svdvals(mean).tolist() == pytest.approx(spectrum, rel=1e-12)
    assert (game.matrices - game.jacobian()).abs().max() > 0.1
    assert game.constants().lipschitz == pytest.approx(2.0, rel=1e-12)
    with pytest.raises(InvalidValue, match=r"spectrum\[1\] is -1.0"):
        Bilinear.with_spectrum(6, [1.0, -1.0])


def test_a_rotation_is_at_most_a_quarter_turn() -> None:
    with pytest.raises(InvalidValue, match="rotation is 1.5: expected a number >= 0 and <= 1"):
        Coordinatewise(3, rotation=1.5)
