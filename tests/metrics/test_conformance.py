"""Every metric of the table: order, determinism, complete rows, refusals in one line, FID as the name of one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from manypaths.errors import InputError
from manypaths.metrics import METRICS, fid, stacked_modes
from manypaths.metrics.base import SampleMetric, SampleSets
from manypaths.registry import lookup
from manypaths.specs import Spec

QUICK: dict[str, dict[str, Any]] = {
    "kid": {"subsets": 5},
    "ms-ssim": {"samples": 16, "batches": 2},
    "wasserstein-critic": {"steps": 40, "lr": 1e-3},
    "fid": {"weights": __file__},
}
# Is the number smaller where the sets are equal, larger there, or (None) about the generated set alone?
SMALLER_WHEN_EQUAL = {
    "inception score": None,
    "frechet (planted-net)": True,
    "label entropy": None,
    "label total variation": None,
    "FID": True,
    "kid (planted-net)": True,
    "ms-ssim": None,
    "precision (planted-net)": False,
    "recall (planted-net)": False,
    "density (planted-net)": False,
    "coverage (planted-net)": False,
    "modes (mnist-cnn)": None,
    "modes KL (mnist-cnn)": None,
    "wasserstein critic": True,
    "wasserstein critic, as fitted": True,
    "wasserstein critic, last change": None,
    "wasserstein (planted-net)": True,
    "sliced wasserstein (planted-net)": True,
}
POINTS = [name for name, metric in METRICS.items() if "points" in metric.takes]


@pytest.fixture
def metric(monkeypatch, planted) -> Callable[[str], SampleMetric]:
    """A metric by name, with quick settings and stand-ins for what is not on disk."""
    monkeypatch.setattr(fid, "find_spec", lambda name: object())
    monkeypatch.setattr(fid, "inception", lambda file: nn.Flatten())
    monkeypatch.setattr(
        stacked_modes, "feature_net", lambda name: dataclasses.replace(planted(64), name=name, accuracy=0.99)
    )
    return lambda name: Spec(lookup(name, SampleMetric), **QUICK.get(name, {})).build()


@pytest.fixture
def sets(pictures, planted) -> Callable[..., SampleSets]:
    def make(shift: int = 0, n: int = 200) -> SampleSets:
        shape, net = (3, 8, 8), planted(3 * 64)
        real, fitting = pictures(n, 1, shape=shape), pictures(n, 2, shape=shape)
        return SampleSets(pictures(n, 3, shift, shape), real, fitting, net, seed=4)

    return make


@pytest.mark.parametrize("name", METRICS)
def test_rows_are_complete_and_deterministic(name, metric, sets) -> None:
    state = torch.get_rng_state()
    rows, again = metric(name)(sets()), metric(name)(sets())
    assert rows == again, "the same samples have the same scores"
    assert torch.equal(torch.get_rng_state(), state), "a metric draws from generators of its own"
    assert rows
    for row in rows:
        assert row.metric in SMALLER_WHEN_EQUAL, "say in this test how the number orders sets"
        assert isinstance(row.value, float)
        assert math.isfinite(row.value)
        assert 0 < row.samples <= 200
        assert 0 <= row.reference <= 200
        assert row.protocol
        assert ("fid" in row.metric.lower()) == (name == "fid")
        assert row.net or "planted" not in row.metric


@pytest.mark.parametrize("name", METRICS)
def test_equal_sets_are_nearer_than_different_ones(name, metric, sets) -> None:
    near, far = metric(name)(sets()), metric(name)(sets(shift=50))
    for a, b in zip(near, far, strict=True):
        smaller = SMALLER_WHEN_EQUAL[a.metric]
        if smaller is not None:
            assert (a.value < b.value) if smaller else (a.value > b.value), (a, b)


@pytest.mark.parametrize("name", METRICS)
def test_what_it_does_not_take_is_one_line(name, metric, sets, gaussian) -> None:
    points = SampleSets(gaussian(100, 1), gaussian(100, 2), gaussian(100, 3))
    wrong = [] if name in POINTS else [lambda: metric(name)(points)]
    wrong += [lambda: metric(name)(sets(n=1))]
    for call in wrong:
        with pytest.raises(InputError) as said:
            call()
        assert "expected" in str(said.value)
        assert "\n" not in str(said.value)


@pytest.mark.parametrize("name", POINTS)
def test_points_need_no_net(name, metric, gaussian) -> None:
    near = SampleSets(gaussian(200, 1), gaussian(200, 2), gaussian(200, 3))
    far = SampleSets(gaussian(200, 1, shift=2.0), gaussian(200, 2), gaussian(200, 3))
    for a, b in zip(metric(name)(near), metric(name)(far), strict=True):
        assert a.net == ""
        smaller = {key.removesuffix(" (planted-net)"): value for key, value in SMALLER_WHEN_EQUAL.items()}[a.metric]
        if smaller is not None:
            assert (a.value < b.value) if smaller else (a.value > b.value), (a, b)


@pytest.mark.parametrize("name", METRICS)
def test_the_recipe_setting_survives_its_round_trip(name) -> None:
    part = Spec(lookup(name, SampleMetric), **QUICK.get(name, {}))
    plain = part.to_plain()
    assert plain["name"] == name
    assert Spec(lookup(plain.pop("name"), SampleMetric), **plain) == part
