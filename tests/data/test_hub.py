"""The hub: local parquet files first, then ``datasets``, and no waiting without a network."""

from __future__ import annotations

import os
import sys
import types

import pytest
import tiny_files
import torch

from manypaths.data import hub
from manypaths.data.hub import Hub
from manypaths.errors import InputError

PIXELS = tiny_files.pixels(20, 9, 9, 3)


class Table:
    """What is used of a ``datasets.Dataset``."""

    def __init__(self, columns: dict):
        self.columns, self.column_names = columns, list(columns)
        self._fingerprint = "f"

    def __len__(self) -> int:
        return len(self.columns["image"])

    def __getitem__(self, key):
        return self.columns[key] if isinstance(key, str) else {k: v[key] for k, v in self.columns.items()}

    def cast_column(self, name: str, feature):
        assert (name, feature) == ("image", "not decoded")
        return self


@pytest.fixture
def fake(home, monkeypatch):
    """A ``datasets`` module; ``fake.load_dataset`` decides what happens."""
    rows = [{"bytes": tiny_files.encoded(image), "path": None} for image in PIXELS]
    seen: list = []

    def load_dataset(repository, configuration, *, split, revision):
        seen.append((repository, configuration, split, revision, os.environ.get("HF_HUB_OFFLINE")))
        return Table({"image": rows, "label": [i % 4 for i in range(20)]})

    module = types.ModuleType("datasets")
    module.load_dataset, module.seen = load_dataset, seen
    module.Image = lambda decode: "decoded" if decode else "not decoded"
    monkeypatch.setitem(sys.modules, "datasets", module)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    return module


def message(make) -> str:
    with pytest.raises(InputError) as caught:
        make().load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_repository_is_read_through_datasets(fake, monkeypatch) -> None:
    monkeypatch.setattr(hub, "_reachable", lambda: True)
    data = Hub(repository="me/faces", revision="abc", held_out=3).load()
    assert torch.equal(data.real, torch.from_numpy(PIXELS[:17]).permute(0, 3, 1, 2))
    assert data.labels.tolist() == [i % 4 for i in range(17)]
    assert fake.seen == [("me/faces", None, "train", "abc", None)]
    assert Hub(repository="me/faces", label=None).load().labels is None
    assert "unknown column of me/faces: 'lable': did you mean 'label'?" in message(
        lambda: Hub(repository="me/faces", label="lable")
    )


def test_without_a_network_datasets_is_told_before_it_is_imported(fake, monkeypatch, home) -> None:
    monkeypatch.setattr(hub, "_reachable", lambda: False)
    Hub(repository="me/faces").load()
    assert fake.seen[0][-1] == "1"
    assert "HF_HUB_OFFLINE" not in os.environ, "the variable is put back"

    def nowhere(*arguments, **settings):
        raise ConnectionError("Couldn't reach the Hub\nat all")

    fake.load_dataset = nowhere
    told = message(lambda: Hub(repository="me/faces"))
    assert told == (
        "the split 'train' of me/faces could not be loaded: there is no network and it is not in the cache of datasets"
        f"; fetch it once with a network, or put its train-*.parquet into {home / 'hub' / 'me' / 'faces'}"
    )
    monkeypatch.setattr(hub, "_reachable", lambda: True)
    assert "could not be loaded: Couldn't reach the Hub; fetch" in message(lambda: Hub(repository="me/faces"))


def test_the_hub_is_asked_for_half_a_second_and_proxies_are_believed(monkeypatch) -> None:
    asked = []

    def refuse(address, timeout):
        asked.append((address, timeout))
        raise TimeoutError

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    assert not hub._reachable()
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror:8080")
    assert not hub._reachable()
    assert asked == [(("huggingface.co", 443), 0.5), (("mirror", 8080), 0.5)]
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": "proxy"})
    assert hub._reachable()


def test_without_datasets_the_extra_is_named(home, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    told = message(lambda: Hub(repository="me/faces"))
    assert f"me/faces is not in {home / 'hub' / 'me' / 'faces'}" in told
    assert "pip install 'manypaths[hub]'" in told


def test_local_parquet_files_need_no_network(home, monkeypatch) -> None:
    monkeypatch.setattr(hub, "_reachable", lambda: pytest.fail("asked the network"))
    tiny_files.hub(home)
    data = Hub(repository="someone/pictures", size=8, mode="grey").load()
    assert data.real.shape == (40, 1, 8, 8)
    assert "did you mean 'image'?" in message(lambda: Hub(repository="someone/pictures", image="imag"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert message(lambda: Hub(repository="someone/pictures")).endswith("needs pyarrow: pip install 'manypaths[data]'")
