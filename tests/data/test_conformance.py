"""Every data set of the table, on small files in its documented layout."""

from __future__ import annotations

import pytest
import tiny_files
import torch

from manypaths.data import DATA_SETS
from manypaths.data.base import Data
from manypaths.errors import InputError, InvalidValue
from manypaths.specs import Spec

HELD = {"held_out": 9}
OWN = {"celeba", "ring", "image-folder", "array", "torch-dataset"}
"""Data sets whose validation images are not held out of an official training part."""


@pytest.fixture(params=DATA_SETS)
def made(request, small):
    """A data set's name, and a function that makes it with some settings."""
    name, settings = request.param, tiny_files.build(request.param, small)
    return name, lambda **more: DATA_SETS[name](**{**settings, **more})


def held_out(name: str) -> dict:
    return {} if name in OWN else HELD | ({"split": "train"} if name == "digits" else {})


def rows(data: Data) -> set[bytes]:
    return {row.numpy().tobytes() for row in data.real}


def test_images_and_labels_are_what_the_contract_says(made) -> None:
    name, make = made
    data = make().load()
    if name == "ring":
        assert data.real.is_floating_point()
        assert data.real.ndim == 2
    else:
        assert data.real.dtype == torch.uint8
        assert data.real.ndim == 4
        assert data.real.shape[1] in (1, 3)
    assert data.real.is_contiguous()
    classes = {"stacked-mnist": 1000, "imagenet": 1000, "ring": 8, "hub": 40}.get(name, 10)
    if name == "celeba":
        assert data.labels is None
    else:
        assert data.labels.dtype == torch.int64
        assert data.labels.shape == (len(data),)
        assert 0 <= int(data.labels.min()) <= int(data.labels.max()) < classes
        assert len(data.labels.unique()) > 2


def test_loading_again_gives_the_same_bits(made) -> None:
    _, make = made
    first, second = make().load(), make().load()
    assert torch.equal(first.real, second.real)
    assert first.checksum() == second.checksum()
    assert first.checksum() != make().reference().load().checksum() or make().reference() == make()


def test_the_three_splits_are_disjoint_and_nothing_is_lost(made) -> None:
    name, make = made
    train = make(**held_out(name))
    parts = [train.load(), train.validation().load(), train.reference().load()]
    assert train.reference() == train.validation().reference(), "valid and train are measured against the same images"
    if name in ("stacked-mnist", "ring"):  # a channel's digit in one split only; independent draws
        parts = [Data(part.real[:, :1]) if name == "stacked-mnist" else part for part in parts]
    sets = [rows(part) for part in parts]
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    assert not sets[1] & sets[2]
    if name in ("image-folder", "array", "torch-dataset"):
        assert sum(map(len, parts)) == 60
        whole = rows(make(valid=0.0, test=0.0).load())
    elif name == "celeba":
        assert list(map(len, parts)) == [7, 3, 2]
        return
    elif name in ("stacked-mnist", "ring"):
        return
    else:
        part = make(**({"split": "train"} if name == "digits" else {})).load()
        assert len(parts[1]) == 9
        assert torch.equal(torch.cat([parts[0].real, parts[1].real]), part.real)
        whole = rows(part) | sets[2]
    assert sets[0] | sets[1] | sets[2] == whole


def test_a_limit_keeps_the_first_images_and_no_metric_sees_it(made) -> None:
    name, make = made
    if name == "ring":
        pytest.skip("a ring has a size")
    whole, few = make().load(), make(limit=5).load()
    assert torch.equal(few.real, whole.real[:5])
    assert few.labels is None or torch.equal(few.labels, whole.labels[:5])
    assert len(make(limit=1).reference().load()) > 1
    held = held_out(name)
    assert torch.equal(make(**held, limit=5).load().real, make(**held).load().real[:5])


def test_validation_without_held_out_images_says_what_to_set(made) -> None:
    name, make = made
    if name in ("celeba", "ring"):
        assert make().validation().split == "valid"
        return
    setting = "valid" if name in OWN else "held_out"
    settings = {"valid": 0.0} if name in OWN else {}
    for ask in (lambda: make(**settings).validation(), lambda: make(**settings, split="valid")):
        with pytest.raises(InvalidValue, match=setting):
            ask()


def test_files_that_are_missing_are_named_with_their_place(made, monkeypatch, tmp_path) -> None:
    name, make = made
    if name in ("digits", "ring", "torch-dataset"):
        pytest.skip("there are no files")
    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: (_ for _ in ()).throw(OSError("no route")))
    settings = {"path": str(tmp_path / "elsewhere" / "x.npy")} if name in ("image-folder", "array") else {}
    with pytest.raises(InputError) as caught:
        make(**settings).load()
    assert str(tmp_path / "elsewhere") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "elsewhere").exists(), "nothing is left behind"


def test_a_data_set_survives_plain_data(made) -> None:
    from manypaths.data.base import DataSet
    from manypaths.specs import part_from_plain

    name, make = made
    settings = {k: getattr(make(), k) for k in tiny_files.SETTINGS.get(name, {})}
    part = Spec(DATA_SETS[name], **settings)
    assert part_from_plain(part.to_plain(), DataSet, "data").build() == make()
