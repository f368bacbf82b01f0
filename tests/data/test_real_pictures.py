"""Pictures as people have them: turned by the camera, see-through, of 16 bits, beside other files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tiny_files
import torch
from PIL import Image

from manypaths.data.image_folder import ImageFolder
from manypaths.errors import InputError
from manypaths.sources.stacking import stack_dataset


def message(make) -> str:
    with pytest.raises(InputError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def load(folder: Path, **settings):
    return ImageFolder(path=str(folder), **settings).load()


@pytest.fixture
def folder(home) -> Path:
    (home / "mine").mkdir()
    return home / "mine"


GREY = tiny_files.pixels(1, 4, 6)[0]


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_picture_that_the_camera_turned_is_turned_upright(folder, kind, orientation) -> None:
    image = Image.fromarray(np.kron(GREY, np.ones((8, 8), dtype=np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(folder / f"a.{kind}", exif=exif)
    data = load(folder, mode="grey")
    image.save(folder.parent / f"stored.{kind}")
    with Image.open(folder.parent / f"stored.{kind}") as same:
        stored = np.asarray(same.convert("L"))
    turns = {3: 2, 6: 3, 8: 1}[orientation]
    assert torch.equal(data.real[0, 0], torch.from_numpy(np.rot90(stored, turns).copy()))
    assert data.notes == ("mine: 1 of 1 pictures turned upright as their Exif orientation says",)


def test_pictures_of_one_size_once_upright_are_of_one_size(folder) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(folder / "a.png", exif=exif)
    Image.fromarray(GREY.T.copy()).save(folder / "b.png")
    assert load(folder).real.shape == (2, 1, 6, 4)


def see_through(mode: str) -> Image.Image:
    """Left half opaque with the value 40, right half fully transparent with 200 hidden beneath it."""
    grey = np.full((4, 4), 40, dtype=np.uint8)
    grey[:, 2:] = 200
    alpha = np.where(grey == 40, 255, 0).astype(np.uint8)
    if mode == "P":
        image = Image.fromarray((grey == 200).astype(np.uint8)).convert("P")
        image.putpalette([40, 40, 40, 200, 200, 200])
        image.info["transparency"] = 1
        return image
    return Image.fromarray(np.dstack([*[grey] * (len(mode) - 1), alpha]))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize(("background", "value"), [("white", 255), ("black", 0), ("grey", 128)])
def test_what_is_hidden_under_alpha_stays_hidden(folder, mode, background, value) -> None:
    image = see_through(mode)
    image.save(folder / "a.png", transparency=image.info.get("transparency"))
    with Image.open(folder / "a.png") as saved:
        assert saved.mode == mode
    data = load(folder, background=background)
    assert (data.real[..., :2] == 40).all()
    assert (data.real[..., 2:] == value).all()
    assert len(data.real[0]) == (1 if mode == "LA" else 3)
    assert "1 of 1 pictures with transparency laid over " + background in data.notes[0]


def test_half_transparent_pixels_are_blended(folder) -> None:
    Image.fromarray(np.full((2, 2, 4), 100, dtype=np.uint8)).save(folder / "a.png")
    expected = round(100 * 100 / 255 + 255 * 155 / 255)
    assert abs(int(load(folder, mode="grey").real[0, 0, 0, 0]) - expected) <= 1


def test_a_file_with_an_opaque_alpha_channel_is_the_picture(folder) -> None:
    image = tiny_files.pixels(1, 4, 4, 3)[0]
    Image.fromarray(np.dstack([image, np.full((4, 4), 255, dtype=np.uint8)])).save(folder / "a.png")
    assert torch.equal(load(folder).real[0], torch.from_numpy(image).permute(2, 0, 1))


@pytest.mark.parametrize("kind", ["png", "tif", "pgm"])
def test_sixteen_bits_are_scaled_and_not_saturated(folder, kind) -> None:
    Image.fromarray(np.array([[0, 257, 25_700, 65_535]], dtype=np.uint16)).save(folder / f"a.{kind}")
    data = load(folder)
    assert data.real.flatten().tolist() == [0, 1, 100, 255]
    assert "of more than 8 bits scaled from 0 .. 65535 to 0 .. 255" in data.notes[0]
    assert f"a.{kind} holds" in message(lambda: load(folder, range=(0, 4095)))


def test_twelve_bits_in_sixteen_take_the_range_that_is_stated(folder) -> None:
    Image.fromarray(np.array([[0, 4095, 819]], dtype=np.uint16)).save(folder / "a.png")
    assert load(folder, range=(0, 4095)).real.flatten().tolist() == [0, 255, 51]


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pictures_of_floats_and_32_bits_need_their_range(folder, dtype) -> None:
    values = np.array([[-1, 0, 1]], dtype=dtype)
    Image.fromarray(values).save(folder / "a.tif")
    assert "and no file states their range: set range to what black and white are" in message(lambda: load(folder))
    assert load(folder, range=(-1, 1)).real.flatten().tolist() == [0, 128, 255]
    assert "from -1 to 1: expected 0 to 1; set range" in message(lambda: load(folder, range=(0, 1)))
    assert "range is 1, 0: expected black below white" in message(lambda: load(folder, range=(1, 0)))


def test_a_float_picture_with_nan_is_refused(folder) -> None:
    Image.fromarray(np.array([[0, np.nan]], dtype=np.float32)).save(folder / "a.tif")
    assert "from nan to nan: expected 0 to 1" in message(lambda: load(folder, range=(0, 1)))


def test_hidden_folders_inside_classes_and_beside_them_are_passed_over(folder) -> None:
    image = tiny_files.pixels(1, 4, 4)[0]
    for place in ("cats", "dogs", "cats/.ipynb_checkpoints", "dogs/deep/__MACOSX", "__MACOSX", ".git", "dogs/deep"):
        tiny_files.save(folder / place / "a.png", image)
    data = load(folder)
    assert data.labels.tolist() == [0, 1, 1]
    assert data.notes == ("mine: passed over hidden folders: 4 (.git, __MACOSX, cats/.ipynb_checkpoints, ...)",)


def test_what_is_passed_over_is_counted_and_named_in_one_line(folder) -> None:
    tiny_files.save(folder / "a" / "1.png", GREY)
    (folder / "a" / "lost.png").symlink_to(folder / "nowhere.png")
    (folder / "a" / "notes.txt").write_text("x")
    (folder / "a" / "data.csv").write_text("x")
    (folder / "b").mkdir()
    (folder / "a" / "loop").symlink_to(folder)
    assert load(folder).notes == (
        "mine: passed over broken links: 1 (a/lost.png); files of other kinds: 2 (a/data.csv, a/notes.txt); links to "
        "folders: 1 (a/loop); sub-folders without pictures: 1 (b)",
    )


def test_gif_and_jfif_are_pictures_and_of_several_frames_the_first_is_taken(folder) -> None:
    frames = [Image.fromarray(np.full((4, 6), value, dtype=np.uint8)) for value in (10, 250)]
    frames[0].save(folder / "a.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(GREY).save(folder / "b.jfif", "JPEG")
    data = load(folder, mode="grey")
    assert len(data) == 2
    assert (data.real[0] == 10).all()
    assert data.notes == ("mine: 1 of 2 pictures of several frames taken by the first one",)


def test_all_files_that_cannot_be_read_are_counted(folder) -> None:
    tiny_files.save(folder / "a.png", GREY)
    for name in ("b.png", "c.png", "d.jpg"):
        (folder / name).write_bytes(b"<html>")
    said = message(lambda: load(folder))
    assert "b.png is not a readable picture (no known format): replace it or take it away" in said
    assert said.endswith(f"2 more cannot be read, the next is {folder / 'c.png'}")


def test_a_program_in_a_pictures_name_is_no_picture(folder) -> None:
    (folder / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    assert "a.png is not a readable picture (no known format)" in message(lambda: load(folder))


@pytest.mark.parametrize("pixels", [20, 10])
def test_more_pixels_than_pillow_takes_for_safe_is_one_line(folder, monkeypatch, pixels) -> None:
    tiny_files.save(folder / "a.png", GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)  # 24: a warning above 20, an error above 2 x 10
    assert "a.png has 24 pixels, more than Pillow takes for safe: shrink it, or raise" in message(lambda: load(folder))


@pytest.mark.parametrize("place", ["{}", "cats/{}", "{}/a.png"])
def test_a_name_that_is_no_utf8_is_one_line(folder, place) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    path = folder / place.format(name)
    path.parent.mkdir(exist_ok=True)
    with open(path, "wb") as file:
        file.write(tiny_files.encoded(GREY))
    said = message(lambda: load(folder))
    assert r"caf\xe9.png" in said
    assert "a name that is not UTF-8: rename it" in said


def test_notes_survive_the_cache_and_a_cache_of_other_decoding_is_not_read(folder, monkeypatch) -> None:
    from manypaths.data.pictures import Pictures

    see_through("RGBA").save(folder / "a.png")
    monkeypatch.setattr(Pictures, "decoding", 1)
    old = load(folder, resident_bytes=0)
    old.real.fill_(7)
    (file,) = (folder.parent / "cache").glob("*.u8")
    file.write_bytes(bytes([7]) * file.stat().st_size)
    monkeypatch.undo()
    monkeypatch.setenv("MANYPATHS_DATA", str(folder.parent))
    first, again = (load(folder, resident_bytes=0) for _ in range(2))
    assert not (first.real == 7).any()
    assert first.notes == again.notes != ()
    assert first.fingerprint == again.fingerprint


def test_pictures_of_a_users_own_data_set_are_treated_alike() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(GREY)
    turned.getexif()[0x0112] = 6
    wide = Image.fromarray(np.array([[0, 257, 65_535]], dtype=np.uint16))
    assert (stack_dataset([see_through("RGBA")])[0][..., 2:] == 255).all()
    assert torch.equal(stack_dataset([turned])[0][0, 0], torch.from_numpy(np.rot90(GREY, 3).copy()))
    assert stack_dataset([wide])[0].flatten().tolist() == [0, 1, 255]


def test_a_run_says_what_reading_decided(folder, tmp_path) -> None:
    from manypaths.recipes import RECIPES
    from manypaths.specs import Spec

    for i in range(8):
        see_through("LA").resize((8, 8)).save(folder / f"{i}.png")
    data = Spec(ImageFolder, path=str(folder))
    training = RECIPES["digits-adam"]().with_({"data": data, "oracle.batch": 4}).build()
    assert any("8 of 8 pictures with transparency laid over white" in note for note in training.notes)
