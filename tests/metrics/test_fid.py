"""FID: what is missing is said in one line, and nothing else bears the name."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import nn

from manypaths.errors import InvalidType, InvalidValue, MissingData
from manypaths.metrics import fid
from manypaths.metrics.base import apply
from manypaths.metrics.fid import WEIGHTS, Fid
from manypaths.metrics.frechet import frechet_distance


class Stand(nn.Module):
    """In place of the Inception network: the mean of each colour."""

    seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        Stand.seen += len(images)
        assert images.dtype == torch.uint8
        assert images.shape[1] == 3
        return images.double().mean((2, 3))


def test_missing_weights_are_one_line(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path))
    with pytest.raises(MissingData) as said:
        Fid().prepare("images")
    message = str(said.value)
    assert "\n" not in message
    for part in (str(tmp_path / "inception" / WEIGHTS), "https://github.com/toshas/torch-fidelity", "manypaths[fid]"):
        assert part in message
    with pytest.raises(MissingData, match="not at elsewhere.pth"):
        Fid(weights="elsewhere.pth").prepare("images")


def test_a_missing_package_is_one_line(tmp_path, monkeypatch) -> None:
    file = tmp_path / WEIGHTS
    file.write_bytes(b"")
    monkeypatch.setattr(fid, "find_spec", lambda name: None)
    with pytest.raises(InvalidType, match=r"FID needs torch_fidelity and torchvision: pip install 'manypaths\[fid\]'"):
        Fid(weights=str(file)).prepare("images")
    monkeypatch.setattr(fid, "find_spec", lambda name: None if name == "torchvision" else object())
    with pytest.raises(InvalidType, match=r"FID needs torchvision: pip"):
        Fid(weights=str(file)).prepare("images")


def test_other_weights_are_refused_before_they_are_read(tmp_path) -> None:
    file = tmp_path / WEIGHTS
    file.write_bytes(b"something else")
    begins = hashlib.sha256(b"something else").hexdigest()[:8]
    with pytest.raises(InvalidValue, match=rf"has sha256 {begins}\.\.\.: expected 6726825d\.\.\."):
        fid.inception(file)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_row_and_its_value_with_a_stand_in(tmp_path, monkeypatch, pictures, compare, channels) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"")
    monkeypatch.setattr(fid, "find_spec", lambda name: object())
    monkeypatch.setattr(fid, "inception", lambda file: Stand())
    one, two = pictures(60, 1, shape=(channels, 4, 4)), pictures(70, 2, shift=50, shape=(channels, 4, 4))
    (row,) = Fid(weights=str(tmp_path / WEIGHTS))(compare(one, two))
    assert row.metric == "FID"
    assert WEIGHTS in row.net
    assert (row.samples, row.reference) == (60, 70)
    assert ("grey images repeated" in row.protocol) == (channels == 1)
    sides = [apply(Stand(), images.expand(-1, 3, -1, -1)) for images in (one, two)]
    assert row.value == pytest.approx(frechet_distance(*sides), rel=1e-9)


def test_the_reference_meets_the_network_once(tmp_path, monkeypatch, pictures, compare) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"")
    monkeypatch.setattr(fid, "find_spec", lambda name: object())
    monkeypatch.setattr(fid, "inception", lambda file: Stand())
    monkeypatch.setattr(Stand, "seen", 0)
    metric, known, real = Fid(weights=str(tmp_path / WEIGHTS)), {}, pictures(70, 2, shift=50)
    rows = [metric(compare(pictures(n, n), real, known=known)) for n in (60, 65)]
    assert Stand.seen == 60 + 65 + 70
    assert rows == [metric(compare(pictures(n, n), real)) for n in (60, 65)]
