"""Past the budget: decoded once, block by block, mapped, and the same bits."""

from __future__ import annotations

import json

import pytest
import tiny_files
import torch

from manypaths.data import DATA_SETS, stored
from manypaths.data.image_folder import ImageFolder
from manypaths.errors import InvalidValue
from manypaths.sources.paired import PairedSource

MAPPED = [
    name for name in DATA_SETS if "resident_bytes" in DATA_SETS[name].__dataclass_fields__ and "torch" not in name
]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(stored, "BLOCK", 7)


@pytest.mark.parametrize("name", MAPPED)
def test_mapped_and_resident_are_the_same_bits(name, small) -> None:
    settings = tiny_files.build(name, small)
    for more in ({}, {"split": "test"}, {"limit": 3}):
        resident = DATA_SETS[name](**settings, **more).load()
        mapped = DATA_SETS[name](**settings, **more, resident_bytes=100).load()
        again = DATA_SETS[name](**settings, **more, resident_bytes=100).load()
        assert mapped.fingerprint is not None
        assert mapped.checksum() == again.checksum() == resident.checksum()
        assert torch.equal(mapped.real, resident.real)
        assert torch.equal(again.real, resident.real)
        assert mapped.labels is None or torch.equal(mapped.labels, resident.labels)
        assert mapped.real.is_contiguous()
    assert len(list(small.glob("cache/*.u8"))) == len(list(small.glob("cache/*.json"))) == 3
    assert not list(small.glob("cache/.*"))


def test_held_out_images_are_mapped_apart(small) -> None:
    make = lambda **more: DATA_SETS["imagenet"](held_out=5, resident_bytes=0, **more)  # noqa: E731
    tiny_files.imagenet(small)
    train, valid = make().load(), make().validation().load()
    assert torch.equal(torch.cat([train.real, valid.real]), DATA_SETS["imagenet"]().load().real)
    assert train.checksum() != valid.checksum()


@pytest.fixture
def pictures(home) -> ImageFolder:
    tiny_files.image_folder(home)
    return ImageFolder(path=str(home / "pictures"), resident_bytes=0)


def test_nothing_is_decoded_twice_and_a_change_of_the_files_is_seen(pictures, home, monkeypatch) -> None:
    first = pictures.load()
    monkeypatch.setattr("manypaths.data.pictures.Framing.apply", lambda *a: pytest.fail("decoded again"))
    assert torch.equal(pictures.load().real, first.real)
    monkeypatch.undo()
    monkeypatch.setenv("MANYPATHS_DATA", str(home))
    tiny_files.save(home / "pictures" / "kind0" / "000.png", tiny_files.pixels(1, 10, 12, 3, seed=9)[0])
    changed = pictures.load()
    assert not torch.equal(changed.real[0], first.real[0])
    assert torch.equal(changed.real[1:], first.real[1:])


def test_an_interrupted_decoding_leaves_nothing(pictures, home, monkeypatch) -> None:
    read, blocks = stored.Images._blocks, []

    def interrupted(self, index):
        for block in read(self, index):
            blocks.append(block)
            if len(blocks) == 3:
                raise KeyboardInterrupt
            yield block

    monkeypatch.setattr(stored.Images, "_blocks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pictures.load()
    assert len(blocks[0]) == 7, "never whole in memory"
    assert not list((home / "cache").iterdir())
    monkeypatch.undo()
    monkeypatch.setenv("MANYPATHS_DATA", str(home))
    assert len(pictures.load()) == 60
    (pixels,) = (home / "cache").glob("*.u8")
    pixels.write_bytes(pixels.read_bytes()[:-1])  # a file that is not what its card says is made again
    assert len(pictures.load()) == 60
    assert pixels.stat().st_size == 60 * 360


def test_leftovers_of_a_killed_writer_go_when_they_are_old(pictures, home) -> None:
    import os

    (home / "cache").mkdir()
    old, young = (home / "cache" / f".manypaths-writing-{name}" for name in ("old", "young"))
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    pictures.load()
    assert not old.exists()
    assert young.exists(), "another process may be writing it"


def test_many_pictures_are_kept_decoded_even_within_the_budget(pictures, home, monkeypatch) -> None:
    within = ImageFolder(path=pictures.path)
    assert len(within.load()) == 60
    assert not (home / "cache").exists()
    monkeypatch.setattr(stored, "MANY_ENCODED", 50)
    kept = within.load()
    (card,) = (home / "cache").glob("*.json")
    assert json.loads(card.read_text())["shape"] == [60, 3, 10, 12]
    assert torch.equal(kept.real, pictures.load().real)


def test_no_room_and_no_permission_are_said_before_any_work(pictures, home, monkeypatch) -> None:
    monkeypatch.setattr("manypaths.data.pictures.Framing.apply", lambda *a: pytest.fail("worked"))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(InvalidValue, match="takes 21,600 bytes decoded and .*cache has 10 bytes free: make room"):
        pictures.load()
    monkeypatch.setattr("os.access", lambda *a: False)
    with pytest.raises(InvalidValue, match="more than resident_bytes, and .*cache cannot be written"):
        pictures.load()
    assert not (home / "cache").exists()


def test_a_mapped_set_trains_like_a_resident_one(pictures) -> None:
    resident = ImageFolder(path=pictures.path).load()
    mapped = pictures.load()
    a, b = (PairedSource(data.real, data.labels, latent=2, flip=True) for data in (resident, mapped))
    for _ in range(3):
        assert torch.equal(a.sample(16).real, b.sample(16).real)
    mapped.real[0].zero_()  # a private map: the file keeps its bytes
    assert torch.equal(pictures.load().real, resident.real)
