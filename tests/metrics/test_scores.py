"""Scores against an independent float64 computation, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from manypaths.errors import InvalidValue
from manypaths.metrics import scores
from manypaths.metrics.feature_nets import FeatureNet, NetRecipe, _Entry, feature_net
from manypaths.models.classifiers import Classifier, DigitsCnn
from manypaths.randomness import seed_for


class Planted(Classifier):
    """Features are the four pixels; logits are a linear map of them."""

    num_features = 4

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Flatten(), nn.Linear(4, 10)


def images(n: int, seed: int, shift: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(shift, 200 + shift, (n, 1, 2, 2), dtype=torch.uint8, generator=generator)


def pixels(batch: torch.Tensor) -> np.ndarray:
    return batch.flatten(1).double().numpy() / 255 * 2 - 1


def test_frechet_equals_an_independent_float64_computation() -> None:
    from scipy.linalg import sqrtm

    net = Planted().double().requires_grad_(False)
    one, two = images(700, 1), images(900, 2, shift=40)
    torch.set_default_dtype(torch.float64)
    try:
        found = scores.frechet_distance(net, one, two)
    finally:
        torch.set_default_dtype(torch.float32)
    a, b = pixels(one), pixels(two)
    root = sqrtm(np.cov(a.T) @ np.cov(b.T))
    root = root.real if isinstance(root, np.ndarray) else root[0].real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert found == pytest.approx(expected, rel=1e-6)


def test_inception_score_equals_an_independent_float64_computation() -> None:
    net = Planted().requires_grad_(False)
    with torch.no_grad():
        net.head.weight *= 10
    batch = images(500, 3)
    mean, deviation = scores.inception_score(net, batch, splits=10, seed=3)
    torch.manual_seed(seed_for(3, "inception score"))
    logits = net(batch)[torch.randperm(500)].double().numpy()
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    split = [math.exp((q * (np.log(q) - np.log(q.mean(0)))).sum(1).mean()) for q in np.split(p, 10)]
    assert mean == pytest.approx(np.mean(split), rel=1e-6)
    assert deviation == pytest.approx(np.std(split, ddof=1), rel=1e-6)


def test_inception_score_by_hand() -> None:
    class Sure(Planted):
        """Class k for images whose first pixel is k, with certainty."""

        def forward(self, batch):
            return 1e2 * nn.functional.one_hot(batch[:, 0, 0, 0].long() % 10, 10).float()

    ten = (torch.arange(1000) % 10).to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    assert scores.inception_score(Sure(), ten, splits=2)[0] == pytest.approx(10.0, rel=1e-2)
    one = torch.zeros(1000, 1, 2, 2, dtype=torch.uint8)
    assert scores.inception_score(Sure(), one)[0] == pytest.approx(1.0, rel=1e-9)
    assert torch.equal(scores.label_counts(Sure(), ten), torch.full((10,), 100))


def test_label_histogram_by_hand() -> None:
    assert scores.entropy(torch.tensor([5] * 10)) == pytest.approx(math.log(10), rel=1e-12)
    assert scores.entropy(torch.tensor([7, 0, 0])) == 0.0
    assert scores.entropy(torch.tensor([1, 3])) == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    assert scores.total_variation(torch.tensor([5] * 10)) == 0.0
    assert scores.total_variation(torch.tensor([7, 0])) == 0.5
    assert scores.total_variation(torch.tensor([1, 3])) == 0.25


def test_every_row_states_net_counts_and_protocol() -> None:
    net = FeatureNet("planted-net", Planted().requires_grad_(False), 0.5, "abc")
    rows = scores.image_scores(images(200, 1), images(300, 2), net)
    assert [row.metric for row in rows] == [
        "inception score",
        "frechet (planted-net)",
        "label entropy",
        "label total variation",
    ]
    assert all(row.net == "planted-net, test accuracy 0.5000" and row.samples == 200 and row.protocol for row in rows)
    assert rows[1].reference == 300
    assert scores.image_scores(images(200, 1), images(300, 2), net) == rows, "the same images have the same scores"
    with pytest.raises(InvalidValue, match="expected uint8"):
        scores.image_scores(images(200, 1).float(), images(300, 2), net)
    with pytest.raises(InvalidValue, match="there are 5 samples: expected at least 20"):
        scores.image_scores(images(5, 1), images(300, 2), net)


def test_the_digits_net_is_trained_once_and_cached_with_what_made_it(tmp_path, monkeypatch) -> None:
    from manypaths.data.digits import Digits
    from manypaths.metrics import feature_nets

    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path))
    quick = _Entry(DigitsCnn, lambda split: Digits(split=split), NetRecipe(epochs=6, at_least=0.85))
    monkeypatch.setitem(feature_nets.NETS, "digits-cnn", quick)
    first = feature_net("digits-cnn")
    assert first.accuracy >= 0.85
    cards = list((tmp_path / "feature-nets").glob("*.json"))
    assert len(cards) == 1
    assert first.data in cards[0].name
    monkeypatch.setattr(feature_nets, "_trained", lambda *_: pytest.fail("it was trained again"))
    second = feature_net("digits-cnn")
    batch = Digits(split="test").load().real
    assert torch.equal(first.net(batch), second.net(batch))
    other = _Entry(DigitsCnn, lambda split: Digits(split=split), NetRecipe(epochs=7, at_least=0.85))
    monkeypatch.setitem(feature_nets.NETS, "digits-cnn", other)
    with pytest.raises(pytest.fail.Exception):
        feature_net("digits-cnn")
    with pytest.raises(InvalidValue, match="unknown feature net 'digits-cn': did you mean 'digits-cnn'"):
        feature_net("digits-cn")


def test_a_net_below_its_accuracy_is_refused(tmp_path, monkeypatch) -> None:
    from manypaths.data.digits import Digits
    from manypaths.metrics import feature_nets

    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path))
    poor = _Entry(DigitsCnn, lambda split: Digits(split=split), NetRecipe(epochs=1, at_least=1.0))
    monkeypatch.setitem(feature_nets.NETS, "digits-cnn", poor)
    with pytest.raises(InvalidValue, match="reached a test accuracy of"):
        feature_net("digits-cnn")
    assert not (tmp_path / "feature-nets").exists()
