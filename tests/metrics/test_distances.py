"""Metrics on sets: similarity of pairs, nearest-neighbour balls, transport, and a critic; closed forms and by hand."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.metrics.base import SampleSets
from manypaths.metrics.ms_ssim import MsSsim, level_exponents, mean_similarity
from manypaths.metrics.precision_recall import PrecisionRecall, overlap
from manypaths.metrics.transport import SlicedWasserstein, WassersteinDistance, sliced_wasserstein, wasserstein
from manypaths.metrics.wasserstein_critic import WassersteinCritic
from manypaths.randomness import generator_for


def ms_ssim_float64(x: np.ndarray, y: np.ndarray, betas: tuple[float, ...]) -> float:
    """MS-SSIM of two grey images in [0, 1], written out."""
    from scipy.ndimage import correlate1d

    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    blur = lambda a: correlate1d(correlate1d(a, window, 0, mode="mirror"), window, 1, mode="mirror")  # noqa: E731
    product = 1.0
    for level, beta in enumerate(betas):
        mx, my = blur(x), blur(y)
        contrast = (2 * (blur(x * y) - mx * my) + 0.03**2) / (blur(x * x) - mx**2 + blur(y * y) - my**2 + 0.03**2)
        if level + 1 < len(betas):
            factor = contrast[5:-5, 5:-5].mean()
            x, y = (a.reshape(len(a) // 2, 2, len(a) // 2, 2).mean((1, 3)) for a in (x, y))
        else:
            factor = (contrast * (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)).mean()
        product *= max(factor, 0.0) ** beta
    return product


def test_ms_ssim_of_three_images_equals_a_float64_computation(pictures) -> None:
    base, noise = pictures(1, 1, shape=(1, 28, 28)), pictures(3, 2, shape=(1, 28, 28))
    images = (base.double() + 0.2 * noise.double()).to(torch.uint8)
    betas = level_exponents(images)
    assert betas == pytest.approx((0.0448 / 0.6305, 0.2856 / 0.6305, 0.3001 / 0.6305))
    a, b, c = images[:, 0].double().numpy() / 255
    expected = np.mean([ms_ssim_float64(p, q, betas) for p, q in ((a, b), (a, c), (b, c))])
    assert 0.3 < expected < 0.99
    assert mean_similarity(images, betas) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("size", "levels"), [(8, 1), (16, 2), (28, 3), (32, 3), (64, 4)])
def test_ms_ssim_levels_fit_and_identical_images_give_one(pictures, compare, size, levels) -> None:
    image = pictures(1, 1, shape=(1, size, size))
    (row,) = MsSsim(samples=8, batches=2)(compare(image.repeat(10, 1, 1, 1), image))
    assert row.value == pytest.approx(1.0, abs=1e-6)
    assert row.deviation == pytest.approx(0.0, abs=1e-6)
    assert f"all 28 pairs of 8 images, 2 batches, mean and deviation over them; {levels} level" in row.protocol


def test_ms_ssim_takes_all_2016_pairs_and_refuses_what_is_too_small(pictures, compare) -> None:
    images = pictures(70, 1, shape=(1, 8, 8))
    assert "all 2016 pairs of 64 images, 5 batches" in MsSsim()(compare(images, images))[0].protocol
    with pytest.raises(InvalidValue, match="images of 4 pixels are too small for ms-ssim: expected at least 6"):
        MsSsim()(compare(images[..., :4], images[..., :4]))
    with pytest.raises(InvalidValue, match="there are 63 samples: expected at least 64"):
        MsSsim()(compare(images[:63], images))


def test_precision_recall_density_coverage_by_hand() -> None:
    column = lambda *values: torch.tensor(values, dtype=torch.float64)[:, None]  # noqa: E731
    real, fake = column(0, 1, 2, 10), column(0.5, 1, 20, 24)
    # k = 1: radii of the reals 1, 1, 1, 8; of the fakes 0.5, 0.5, 4, 4
    # balls of the reals [-1, 1], [0, 2], [1, 3], [2, 18] around the fakes: 0.5 in 2, 1 in 3 (two of them closed), 0, 0
    # balls of the fakes [0, 1], [0.5, 1.5], [16, 24], [20, 28] around the reals: 0 and 1, neither 2 nor 10
    found = overlap(fake, real, neighbours=1, chunk=3)
    assert found == {"precision": 0.5, "recall": 0.5, "density": 5 / 4, "coverage": 3 / 4}
    # k = 2: radii of the reals 2, 1, 2, 9; balls [-2, 2], [0, 2], [0, 4], [1, 19]
    assert overlap(fake, real, neighbours=2)["density"] == (3 + 4) / (2 * 4)


def test_precision_recall_of_equal_and_of_distant_sets(gaussian, compare) -> None:
    points = gaussian(50, 1)
    values = lambda other: [row.value for row in PrecisionRecall(neighbours=3)(compare(points, other))]  # noqa: E731
    assert values(points)[:2] == [1.0, 1.0]
    assert values(points)[3] == 1.0
    assert values(points + 100) == [0.0] * 4
    with pytest.raises(InvalidValue, match="there are 3 real samples: expected at least 4"):
        values(points[:3])


def test_wasserstein_in_one_dimension_is_sorting(gaussian) -> None:
    one, other = gaussian(40, 1, dim=1).double(), 3 * gaussian(40, 2, dim=1).double()
    gaps = (one.sort(0).values - other.sort(0).values).abs()
    assert wasserstein(one, other, order=1) == pytest.approx(float(gaps.mean()), rel=1e-12)
    assert wasserstein(one, other, order=2) == pytest.approx(float(gaps.square().mean().sqrt()), rel=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_wasserstein_of_a_shifted_set_is_the_shift(gaussian, order) -> None:
    points, shift = gaussian(60, 1).double(), torch.tensor([3.0, 4.0], dtype=torch.float64)
    moved = (points + shift)[torch.randperm(60)]
    assert wasserstein(points, moved, order=order) == pytest.approx(5.0, rel=1e-12)
    assert wasserstein(points, points.flip(0), order=order) == 0.0


def test_sliced_wasserstein_is_the_mean_over_directions_of_sorting(gaussian) -> None:
    one, other = gaussian(40, 1, dim=3).double(), gaussian(40, 2, dim=3, shift=1.0).double()
    directions = torch.nn.functional.normalize(gaussian(9, 3, dim=3).double().T, dim=0)
    gaps = ((one @ directions).sort(0).values - (other @ directions).sort(0).values).abs()
    found = sliced_wasserstein(one, other, directions, order=2)
    assert found == pytest.approx(float(gaps.square().mean().sqrt()), rel=1e-12)
    assert sliced_wasserstein(one, other, directions, order=1) == pytest.approx(float(gaps.mean()), rel=1e-12)


def test_transport_compares_equal_counts_and_says_so(gaussian, compare, monkeypatch) -> None:
    (row,) = WassersteinDistance(limit=30)(compare(gaussian(50, 1, shift=5.0), gaussian(70, 2)))
    assert (row.samples, row.reference, row.metric, row.net) == (30, 30, "wasserstein", "")
    assert row.value == pytest.approx(5.0, abs=0.5)
    (row,) = SlicedWasserstein()(compare(gaussian(50, 1), gaussian(40, 2)))
    assert (row.samples, row.reference, row.metric) == (40, 40, "sliced wasserstein")
    found = importlib.util.find_spec
    monkeypatch.setattr("manypaths.metrics.transport.find_spec", lambda name: None if name == "ot" else found(name))
    with pytest.raises(InvalidType, match=r"POT, which is not installed: pip install 'manypaths\[transport\]'"):
        WassersteinDistance().prepare("points")


def test_transport_between_pixels_reads_no_net(pictures, gaussian) -> None:
    images = pictures(8, 1, shape=(3, 4, 4))
    (row,) = SlicedWasserstein(space="pixels", directions=9)(SampleSets(images, images.flip(0) + 51))
    directions = torch.nn.functional.normalize(
        torch.randn(48, 9, generator=generator_for(0, "directions"), dtype=torch.float64), dim=0
    )
    assert row.value == pytest.approx(0.2 * float(directions.sum(0).square().mean().sqrt()), rel=1e-12)
    assert (row.metric, row.net, row.samples) == ("sliced wasserstein (pixels)", "", 8)
    assert not WassersteinDistance(space="pixels").reads_net("images")
    with pytest.raises(InvalidType, match="wasserstein.space is 'pixels' and the samples are points"):
        WassersteinDistance(space="pixels")(SampleSets(gaussian(4, 1), gaussian(4, 2)))


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_critic_reads_the_shift_between_two_gaussians(gaussian, shift) -> None:
    """Between shifted copies the soft penalty's optimum is linear with slope 1 + W / (2 weight) = 1, 1.05, 1.1."""
    samples = SampleSets(gaussian(8000, 1, shift=shift), gaussian(4000, 2), gaussian(4000, 3), seed=1)
    held_out, fitted, change = WassersteinCritic(steps=300, lr=1e-3)(samples)
    assert held_out.value == pytest.approx(shift * (1 + shift / 20), abs=0.1 + 0.05 * shift)
    assert fitted.value == pytest.approx(held_out.value, abs=0.1)  # sampling: 0.03 in each of the two
    assert abs(change.value) < 0.15
    assert (held_out.samples, held_out.reference, fitted.reference) == (4000, 4000, 4000)
    assert "300 steps" in held_out.protocol


def test_the_critic_never_reads_what_it_was_fitted_to(gaussian, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(
        "manypaths.metrics.wasserstein_critic.gap", lambda critic, real, fake: seen.append((real, fake)) or 0.0
    )
    samples = SampleSets(gaussian(10, 1), gaussian(20, 2), gaussian(30, 3))
    WassersteinCritic(steps=4)(samples)
    assert [(len(real), len(fake)) for real, fake in seen] == [(30, 5), (30, 5), (20, 5)]
    assert torch.equal(seen[0][1], samples.generated[:5])
    assert torch.equal(seen[2][1], samples.generated[5:])
    with pytest.raises(InvalidType, match="wasserstein-critic needs real samples to fit to"):
        WassersteinCritic()(SampleSets(gaussian(10, 1), gaussian(20, 2)))
