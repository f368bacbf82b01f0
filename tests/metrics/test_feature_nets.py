"""Feature nets: trained once, cached with what made them, found by the data set's name, and said while they train."""

from __future__ import annotations

import pytest
import torch

from manypaths.data.digits import Digits
from manypaths.data.mnist import Mnist
from manypaths.data.net_spec import NetRecipe, NetSpec
from manypaths.data.synthetic import Ring
from manypaths.errors import InvalidValue
from manypaths.metrics import feature_nets
from manypaths.metrics.feature_nets import NETS, Entry, default_net, feature_net
from manypaths.models import classifiers


def digits_net(**recipe: float) -> Entry:
    return Entry("digits", NetSpec("DigitsCnn", NetRecipe(**recipe)))  # type: ignore[arg-type]


def test_the_digits_net_is_trained_once_and_cached_with_what_made_it(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path))
    monkeypatch.setitem(NETS, "digits-cnn", digits_net(epochs=6, at_least=0.85))
    first = feature_net("digits-cnn")
    assert first.accuracy >= 0.85
    begun, ended = capsys.readouterr().err.splitlines()
    assert begun == (
        f"training the feature net digits-cnn on 1,500 images, once; it will be kept in {tmp_path / 'feature-nets'}"
    )
    assert ended.startswith(f"digits-cnn: test accuracy {first.accuracy:.4f}, after ")
    cards = list((tmp_path / "feature-nets").glob("*.json"))
    assert len(cards) == 1
    assert first.data in cards[0].name
    monkeypatch.setattr(feature_nets, "_trained", lambda *_: pytest.fail("it was trained again"))
    second = feature_net("digits-cnn")
    assert capsys.readouterr().err == ""
    batch = Digits(split="test").load().real
    assert torch.equal(first.net(batch), second.net(batch))
    monkeypatch.setitem(NETS, "digits-cnn", digits_net(epochs=7, at_least=0.85))
    with pytest.raises(pytest.fail.Exception):
        feature_net("digits-cnn")
    with pytest.raises(InvalidValue, match="unknown feature net 'digits-cn': did you mean 'digits-cnn'"):
        feature_net("digits-cn")


def test_a_net_below_its_accuracy_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path))
    monkeypatch.setitem(NETS, "digits-cnn", digits_net(epochs=1, at_least=1.0))
    with pytest.raises(InvalidValue, match="reached a test accuracy of"):
        feature_net("digits-cnn")
    assert not (tmp_path / "feature-nets").exists()


def test_whoever_watches_sees_the_epochs(monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    feature_nets._say("cifar-cnn: epoch 3 of 10", passing=True)
    assert capsys.readouterr().err == "cifar-cnn: epoch 3 of 10\r"


def test_the_default_net_is_found_by_the_name_of_the_data_set(monkeypatch) -> None:
    assert default_net(Mnist()) == "mnist-cnn"
    assert default_net(Digits()) == "digits-cnn"
    for name, net in (("cifar10", "cifar-cnn"), ("color-mnist", "color-mnist-cnn")):
        monkeypatch.setattr(feature_nets, "name_of", lambda target, name=name: name)
        assert default_net(Ring()) == net, "the table names data sets and imports none"
    monkeypatch.undo()
    with pytest.raises(InvalidValue, match="no feature net is trained on ring: expected --net, one of digits-cnn, "):
        default_net(Ring())


def test_entries_make_nets_for_their_images() -> None:
    images = torch.zeros(2, 3, 28, 28, dtype=torch.uint8)
    net = NETS["color-mnist-cnn"].make()
    assert net.features(images).shape == (2, 128)
    assert net(images).shape == (2, 10)
    assert sum(p.numel() for p in NETS["mnist-cnn"].make().parameters()) == 215_370


def test_a_classifier_is_found_when_it_is_used(monkeypatch) -> None:
    class CifarCnn(classifiers.DigitsCnn):
        """Stands in for the net of 32x32 images."""

    monkeypatch.setattr(classifiers, "CifarCnn", CifarCnn, raising=False)
    assert isinstance(NETS["cifar-cnn"].make(), CifarCnn)
    assert NETS["cifar-cnn"].recipe.at_least == 0.80
