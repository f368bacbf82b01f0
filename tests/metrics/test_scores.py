"""Scores that read a net, against independent float64 computations and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.metrics.base import SampleSets
from manypaths.metrics.frechet import Frechet, frechet_distance
from manypaths.metrics.inception_score import InceptionScore, inception_score
from manypaths.metrics.kid import Kid, kernel_distance
from manypaths.metrics.label_histogram import LabelHistogram, entropy, label_counts, total_variation
from manypaths.metrics.stacked_modes import divergence_to_uniform, mode_counts
from manypaths.randomness import seed_for


def normal(n: int, dim: int, seed: int) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pixels(images: torch.Tensor) -> np.ndarray:
    return images.flatten(1).numpy().astype(np.float32).astype(np.float64) / 255 * 2 - 1


def test_frechet_equals_an_independent_float64_computation(pictures, compare) -> None:
    from scipy.linalg import sqrtm

    one, two = pictures(700, 1), pictures(900, 2, shift=40)
    (row,) = Frechet()(compare(one, two))
    a, b = pixels(one), pixels(two)
    root = sqrtm(np.cov(a.T) @ np.cov(b.T))
    root = root.real if isinstance(root, np.ndarray) else root[0].real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert row.value == pytest.approx(expected, rel=1e-6)
    assert (row.metric, row.samples, row.reference) == ("frechet (planted-net)", 700, 900)


def test_frechet_of_two_gaussians_is_exact() -> None:
    def with_moments(seed: int, mean: list[float], deviation: list[float]) -> torch.Tensor:
        """A set whose sample mean and covariance are exactly these."""
        x = normal(500, 3, seed)
        x = x - x.mean(0)
        white = torch.linalg.solve_triangular(torch.linalg.cholesky(x.T.cov()), x.T, upper=False).T
        return white * torch.tensor(deviation, dtype=torch.float64) + torch.tensor(mean, dtype=torch.float64)

    one, two = with_moments(1, [0, 0, 0], [1, 2, 3]), with_moments(2, [1, -2, 0.5], [2, 0.5, 3])
    # |m|^2 + sum (a - b)^2 for commuting covariances
    assert frechet_distance(one, two) == pytest.approx(1 + 4 + 0.25 + 1 + 2.25, rel=1e-10)


def test_inception_score_equals_an_independent_float64_computation() -> None:
    logits = 3 * normal(500, 10, 3)
    mean, deviation = inception_score(logits, splits=10, seed=3)
    torch.manual_seed(seed_for(3, "inception score"))
    p = np.exp(logits[torch.randperm(500)].numpy())
    p /= p.sum(1, keepdims=True)
    split = [math.exp((q * (np.log(q) - np.log(q.mean(0)))).sum(1).mean()) for q in np.split(p, 10)]
    assert mean == pytest.approx(np.mean(split), rel=1e-6)
    assert deviation == pytest.approx(np.std(split, ddof=1), rel=1e-6)


def test_inception_score_by_hand() -> None:
    ten = torch.nn.functional.one_hot(torch.arange(1000) % 10).double()
    assert inception_score(1e2 * ten, splits=2)[0] == pytest.approx(10.0, rel=1e-2)
    assert inception_score(1e2 * ten[:1].expand(1000, -1))[0] == pytest.approx(1.0, rel=1e-9)
    assert torch.equal(label_counts(ten), torch.full((10,), 100))


def test_kid_equals_an_unbiased_mmd_written_out() -> None:
    x, y = normal(40, 5, 1), normal(40, 5, 2) + 0.5
    found, deviation = kernel_distance(x, y, subsets=3, size=40)  # a subset is all: no randomness is left
    kernel = lambda f, g: (f @ g.T / 5 + 1) ** 3  # noqa: E731
    x, y = x.numpy(), y.numpy()
    within = lambda k: (k.sum() - np.trace(k)) / (40 * 39)  # noqa: E731
    expected = within(kernel(x, x)) + within(kernel(y, y)) - 2 * kernel(x, y).mean()
    assert found == pytest.approx(expected, rel=1e-10)
    assert deviation == pytest.approx(0.0, abs=1e-12)


def test_kid_states_its_subsets(pictures, compare) -> None:
    samples = compare(pictures(60, 1), pictures(50, 2))
    (row,) = Kid(subsets=7)(samples)
    assert row.metric == "kid (planted-net)"
    assert "7 subsets of 50 of each" in row.protocol
    assert row.deviation is not None
    assert "7 subsets of 30 of each" in Kid(subsets=7, subset_size=30)(samples)[0].protocol


def test_label_histogram_by_hand() -> None:
    assert entropy(torch.tensor([5] * 10)) == pytest.approx(math.log(10), rel=1e-12)
    assert entropy(torch.tensor([7, 0, 0])) == 0.0
    assert entropy(torch.tensor([1, 3])) == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    assert total_variation(torch.tensor([5] * 10)) == 0.0
    assert total_variation(torch.tensor([7, 0])) == 0.5
    assert total_variation(torch.tensor([1, 3])) == 0.25


def test_modes_by_hand() -> None:
    digits = torch.tensor([[0, 0, 0], [0, 0, 1], [9, 9, 9], [9, 9, 9]])
    counts = mode_counts(digits)
    assert counts.shape == (1000,)
    assert counts.nonzero().flatten().tolist() == [0, 1, 999]
    # 1/4 ln 250 + 1/4 ln 250 + 1/2 ln 500
    assert divergence_to_uniform(counts) == pytest.approx(0.5 * math.log(250) + 0.5 * math.log(500), rel=1e-12)
    assert divergence_to_uniform(torch.ones(1000)) == pytest.approx(0.0, abs=1e-12)
    assert divergence_to_uniform(torch.eye(1000)[0]) == pytest.approx(math.log(1000), rel=1e-12)


def test_the_defaults_state_net_counts_and_protocol(pictures, compare) -> None:
    samples = compare(pictures(200, 1), pictures(300, 2))
    metrics = (InceptionScore(), Frechet(), LabelHistogram())
    seen: list[int] = []
    samples.trained_net.net.register_forward_pre_hook(lambda net, images: seen.append(len(images[0])))
    rows = [row for metric in metrics for row in metric(samples)]
    assert sum(seen) == 200, "two metrics read the logits, and the net meets the images once"
    assert [row.metric for row in rows] == [
        "inception score",
        "frechet (planted-net)",
        "label entropy",
        "label total variation",
    ]
    assert all(row.net == "planted-net, test accuracy 0.5000" and row.samples == 200 and row.protocol for row in rows)
    assert [row.reference for row in rows] == [0, 300, 0, 0]


def test_what_does_not_fit_is_one_line(pictures, gaussian, compare) -> None:
    with pytest.raises(InvalidValue, match=r"torch.float32 of shape \(200, 1, 2, 2\): expected uint8 images"):
        compare(pictures(200, 1).float(), pictures(300, 2))
    with pytest.raises(InvalidValue, match="expected the same but for the count"):
        compare(pictures(200, 1), pictures(300, 2, shape=(3, 2, 2)))
    with pytest.raises(InvalidValue, match="expected the same but for the count"):
        compare(pictures(200, 1), gaussian(300, 2))
    with pytest.raises(InvalidValue, match="generated holds points that are not finite"):
        compare(gaussian(20, 1) / 0, gaussian(20, 1))
    with pytest.raises(InvalidValue, match="there are 5 samples: expected at least 20"):
        InceptionScore()(compare(pictures(5, 1), pictures(300, 2)))
    with pytest.raises(InvalidType, match="come without a feature net"):
        Frechet()(SampleSets(pictures(50, 1), pictures(50, 2)))
    with pytest.raises(InvalidType, match="frechet does not take points: expected one of precision-recall, wasser"):
        Frechet()(compare(gaussian(50, 1), gaussian(50, 2)))
