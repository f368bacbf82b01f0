"""Damaged files are found when they are read; what is kept is said, and nothing is deleted on the quiet."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from manypaths import Recipe, Run, load
from manypaths.errors import InputError, InvalidType, InvalidValue
from manypaths.files import damage_of_archive, read_json
from manypaths.recipes import RECIPES
from manypaths.report.page import write_report
from manypaths.run import checkpoint

SHORT = {"steps": 6, "samples_every": 0, "noise_every": 0, "log_every": 1, "checkpoint_every": 2, "threads": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "whole"
    Run(RECIPES["digits-adam"]().with_(SHORT), path).train()
    return path


@pytest.fixture
def run(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def flip(path: Path, place: int) -> None:
    contents = bytearray(path.read_bytes())
    contents[place] ^= 1
    path.write_bytes(bytes(contents))


def recipe() -> Recipe:
    return RECIPES["digits-adam"]().with_({**SHORT, "steps": 8})


def test_a_flipped_bit_of_a_checkpoint_is_found_wherever_it_lies(run) -> None:
    """Of 60 places over the whole file: loading gives the same state, or is refused."""
    file = run / "checkpoint.pt"
    checkpoint.previous(file).unlink()
    whole, size = file.read_bytes(), file.stat().st_size
    good = checkpoint.load(file)["training"]["game"]
    refused = []
    for i in range(60):
        file.write_bytes(whole)
        flip(file, (2 * i + 1) * size // 120)
        try:
            found = checkpoint.load(file)["training"]["game"]
        except InvalidValue as error:
            refused.append(str(error))
        else:  # a bit of the padding between records
            assert str(found) == str(good)
    assert len(refused) > 40
    assert all("is not a readable checkpoint" in line and "\n" not in line for line in refused)


@pytest.mark.parametrize("contents", [b"", b"PK\x03\x04 garbage", b"\x80\x04K."])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(contents, run) -> None:
    (run / "checkpoint.pt").write_bytes(contents)
    with pytest.warns(UserWarning, match=r"checkpoint.pt is not a readable.*checkpoint-previous.pt, is used"):
        resumed = Run(recipe(), run, resume=True)
    assert resumed.training.steps == 4, "the two are not of one step"
    assert [row["step"] for row in resumed.directory.rows()] == [1, 2, 3, 4]
    assert (run / "checkpoint-damaged.pt").read_bytes() == contents, "kept"
    resumed.save()
    assert checkpoint.load(checkpoint.previous(run / "checkpoint.pt"))["training"]["steps"] == 4, "not replaced by it"


def test_two_damaged_checkpoints_are_refused(run) -> None:
    for name in ("checkpoint.pt", "checkpoint-previous.pt"):
        (run / name).write_bytes(b"")
    with pytest.raises(InvalidValue, match="checkpoint-previous.pt is not a readable checkpoint"):
        Run(recipe(), run, resume=True)


def test_a_fallen_back_run_ends_as_the_undamaged_one(run, tmp_path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    (run / "checkpoint.pt").unlink()
    Run(recipe(), other, resume=True).train()
    with pytest.warns(UserWarning, match="checkpoint.pt is missing"):
        Run(recipe(), run, resume=True).train()
    ends = [checkpoint.load(path / "checkpoint.pt")["training"]["game"] for path in (run, other)]
    assert str(ends[0]) == str(ends[1])


def test_history_is_not_dropped_when_the_checkpoints_are_gone(run) -> None:
    for name in ("checkpoint.pt", "checkpoint-previous.pt"):
        (run / name).unlink()
    rows = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(InvalidValue, match="has 6 rows of metrics and no checkpoint to go on from: put checkpoint.pt"):
        Run(recipe(), run, resume=True)
    assert (run / "metrics.jsonl").read_bytes() == rows


@pytest.mark.parametrize("line", [b'{"step": 3, \xff}', b"garbage", b"[1]", b'{"steq": 3}', b"[" * 100_000])
def test_a_broken_line_in_the_middle_of_the_metrics_is_an_error_and_deletes_nothing(line, run) -> None:
    lines = (run / "metrics.jsonl").read_bytes().splitlines()
    lines[2] = line
    (run / "metrics.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    before = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(InvalidValue, match=r"metrics.jsonl, line 3 of 6 is no row of metrics .*nothing was changed"):
        Run(recipe(), run, resume=True)
    assert (run / "metrics.jsonl").read_bytes() == before


def test_a_last_line_that_a_crash_cut_short_is_forgiven(run) -> None:
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 7, "evalua')
    with pytest.warns(UserWarning, match="metrics.jsonl: the last line, 7, was cut short and is taken out"):
        assert len(Run(recipe(), run, resume=True).directory.rows()) == 6


@pytest.mark.parametrize("part", ["samples", "metrics.jsonl", "tensorboard", "status.json"])
def test_links_out_of_a_run_directory_are_not_followed(part, run, tmp_path) -> None:
    """A stranger's directory could have pictures deleted, files overwritten, or secrets put into a report."""
    victim = tmp_path / "victim"
    if part in ("samples", "tensorboard"):
        shutil.rmtree(run / part, ignore_errors=True)
        victim.mkdir()
        (victim / "holiday-0000009.png").write_bytes(b"mine")
    else:
        shutil.move(run / part, victim)
    (run / part).symlink_to(victim)
    kept = lambda: {p: p.read_bytes() for p in (victim, *victim.glob("*")) if p.is_file()}  # noqa: E731
    before = kept()
    with pytest.raises(InvalidValue, match=f"{part} is a link to .*: expected it in the run directory itself"):
        Run(recipe(), run, resume=True)
    with pytest.raises(InvalidValue, match="is a link to"):
        write_report([run], tmp_path / "page.html")
    assert kept() == before


def test_a_picture_that_is_a_link_is_not_put_into_a_report(run, tmp_path) -> None:
    (tmp_path / "secret").write_text("mine")
    (run / "samples" / "last-0000001.png").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidValue, match="last-0000001.png is a link to"):
        write_report([run], tmp_path / "page.html")


def test_a_generator_of_another_recipe_is_one_line(run) -> None:
    plain = json.loads((run / "recipe.json").read_text())
    plain["game"]["generator"]["latent"] = 7
    (run / "recipe.json").write_text(json.dumps(plain))
    with pytest.raises(InvalidType, match=r"is of another generator than .*recipe.json says: size mismatch"):
        load(run)


def test_an_exported_generator_knows_its_checksum(run) -> None:
    load(run)
    file = run / "generator-last.safetensors"
    flip(file, file.stat().st_size - 5)
    with pytest.raises(InvalidValue, match=r"generator-last.safetensors is damaged.*manypaths evaluate"):
        load(run)


def test_a_json_file_is_read_with_care(tmp_path) -> None:
    path = tmp_path / "recipe.json"
    for text, said in (("[" * 100_000, "nested too deeply"), ("{", "is not JSON"), ("[1]", "a recipe is list")):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            Recipe.read(path)
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InvalidValue, match="is not JSON"):
        read_json(path)
    with path.open("wb") as file:
        file.truncate(1 << 25)
    with pytest.raises(InvalidValue, match="33,554,432 bytes: expected JSON of at most 16,777,216"):
        read_json(path)


def test_what_a_feature_net_was_made_of_and_its_weights_are_checked(tmp_path, monkeypatch) -> None:
    from manypaths.metrics import feature_nets

    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path))
    monkeypatch.setattr(feature_nets, "_trained", lambda name, entry, data: entry.make().eval())
    monkeypatch.setattr(feature_nets, "_accuracy", lambda net, data: 0.99)
    feature_nets.feature_net("digits-cnn")
    (weights,) = (tmp_path / "feature-nets").glob("*.pt")
    card = weights.with_suffix(".json")
    flip(weights, weights.stat().st_size // 2)
    assert damage_of_archive(weights) is not None
    with pytest.raises(InvalidValue, match=r"is damaged \(.*\): delete it, and digits-cnn is trained again"):
        feature_nets.feature_net("digits-cnn")
    for text in ("", "[]", json.dumps({"name": "digits-cnn"})):
        card.write_text(text)
        with pytest.raises(InvalidValue, match="json is damaged: delete it, and digits-cnn is trained again"):
            feature_nets.feature_net("digits-cnn")


def test_decoded_images_are_compared_with_their_checksum(tmp_path, monkeypatch) -> None:
    from PIL import Image

    from manypaths.data import stored
    from manypaths.data.image_folder import ImageFolder

    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(stored, "MANY_ENCODED", 2)
    (tmp_path / "images").mkdir()
    for i in range(4):
        Image.new("L", (4, 4), 60 * i).save(tmp_path / "images" / f"{i}.png")
    images = ImageFolder(path=str(tmp_path / "images"), test=0.0, valid=0.0)
    good = images.load().real
    (decoded,) = (tmp_path / "data" / "cache").glob("*.u8")
    flip(decoded, 3)
    with pytest.warns(UserWarning, match="is damaged, its checksum is wrong: the images are decoded again"):
        again = images.load().real
    assert torch.equal(again, good)
