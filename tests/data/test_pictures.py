"""Folders of pictures: classes, framing, and one clear line for each mistake."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_files
import torch
from PIL import Image

from manypaths.data.celeba import CelebA
from manypaths.data.image_folder import ImageFolder
from manypaths.errors import InputError, InvalidValue


@pytest.fixture
def folder(home):
    """Six colour pictures of 12x10 (width x height)."""
    for i, image in enumerate(tiny_files.pixels(6, 10, 12, 3)):
        tiny_files.save(home / "faces" / f"{i}.png", image)
    (home / "faces" / "notes.txt").write_text("no picture")
    (home / "faces" / ".hidden.png").write_text("no picture")
    return home / "faces"


def test_a_folder_is_read_as_it_is(folder) -> None:
    data = ImageFolder(path=str(folder)).load()
    assert torch.equal(data.real, torch.from_numpy(tiny_files.pixels(6, 10, 12, 3)).permute(0, 3, 1, 2))
    assert data.labels is None
    grey = ImageFolder(path=str(folder), mode="grey", crop=4).load().real
    luma = Image.fromarray(tiny_files.pixels(6, 10, 12, 3)[2]).convert("L")
    assert torch.equal(grey[2, 0], torch.from_numpy(np.array(luma))[3:7, 4:8])


def test_sub_folders_are_classes(home) -> None:
    tiny_files.image_folder(home)
    data = ImageFolder(path=str(home / "pictures")).load()
    assert data.labels.bincount().tolist() == [20, 20, 20]
    picture = Image.open(home / "pictures" / "kind1" / "001.png")
    assert torch.equal(data.real[20], torch.from_numpy(np.array(picture)).permute(2, 0, 1))


def test_scaling_keeps_the_largest_square(home) -> None:
    image = np.zeros((8, 16, 3), dtype=np.uint8)
    image[:, 4:12] = 200  # the central square is all of one grey
    tiny_files.save(home / "faces" / "wide.png", image)
    tiny_files.save(home / "faces" / "tall.png", image.transpose(1, 0, 2))
    data = ImageFolder(path=str(home / "faces"), size=4).load()
    assert data.real.shape == (2, 3, 4, 4)
    assert (data.real == 200).all()


def mixed_sizes(folder):
    tiny_files.save(folder / "9.png", tiny_files.pixels(1, 5, 5, 3)[0])


def corrupt(folder):
    (folder / "9.png").write_bytes((folder / "3.png").read_bytes()[:200])


def not_a_picture(folder):
    (folder / "9.png").write_bytes(b"hello")


def grey(folder):
    tiny_files.save(folder / "9.png", tiny_files.pixels(1, 10, 12)[0])


def sixteen_bits(folder):
    Image.fromarray(np.zeros((10, 12), dtype=np.uint16)).save(folder / "9.png")


def empty(folder):
    for path in folder.glob("*.png"):
        path.unlink()


def beside_classes(folder):
    tiny_files.save(folder / "cats" / "1.png", tiny_files.pixels(1, 5, 5, 3)[0])


def parts(folder):
    empty(folder)
    tiny_files.save(folder / "train" / "1.png", tiny_files.pixels(1, 5, 5, 3)[0])


@pytest.mark.parametrize(
    ("spoil", "settings", "message"),
    [
        (mixed_sizes, {}, "9.png is 5x5 and {folder}/0.png is 12x10: set size, to which all of them are scaled"),
        (mixed_sizes, {"crop": 6}, "9.png is 5x5: expected at least the crop of 6 pixels"),
        (corrupt, {}, "9.png is not a readable picture ("),
        (corrupt, {"resident_bytes": 0}, "9.png is not a readable picture ("),
        (not_a_picture, {}, "9.png is not a readable picture (no known format)"),
        (grey, {}, "9.png is grey and {folder}/0.png is colour: set mode to 'grey' or 'colour'"),
        (sixteen_bits, {}, "9.png is grey and {folder}/0.png is colour: set mode to 'grey' or 'colour'"),
        (empty, {}, "faces holds no pictures: expected .png, .jpg"),
        (beside_classes, {}, "holds 0.png beside the sub-folder cats"),
        (parts, {}, "has the sub-folders train, which are parts and no classes"),
        (lambda folder: None, {"split": "valid", "valid": 1e-9}, "the split 'valid' holds none of 6 images"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_left(folder, home, spoil, settings, message) -> None:
    spoil(folder)
    with pytest.raises(InputError) as caught:
        ImageFolder(path=str(folder), **settings).load()
    assert message.replace("{folder}", str(folder)) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(home.glob("cache/*"))


def test_a_conditional_recipe_without_labels_leaves_nothing_behind(folder, home) -> None:
    from manypaths.recipes import RECIPES
    from manypaths.run.loop import Run
    from manypaths.specs import Spec

    data = Spec(ImageFolder, path=str(folder), size=8, mode="grey")
    recipe = RECIPES["digits-adam"]().with_({"data": data, "game.conditional": True, "oracle.batch": 4})
    with pytest.raises(InvalidValue, match="this game is conditional and its source has no labels"):
        Run(recipe, home / "run")
    assert not (home / "run").exists()


def test_a_stated_mode_takes_both_kinds(folder) -> None:
    grey(folder)
    colour = ImageFolder(path=str(folder), mode="colour").load().real
    assert torch.equal(colour[-1, 0], colour[-1, 2]), "grey is repeated"
    assert ImageFolder(path=str(folder), mode="grey").load().real.shape == (7, 1, 10, 12)


def test_a_picture_keeps_its_split_when_others_come_and_go(home) -> None:
    tiny_files.image_folder(home)
    cut = {"path": str(home / "pictures"), "valid": 0.3, "test": 0.3}
    before = ImageFolder(**cut, split="test").load().real
    assert 0 < len(before) < 60
    for path in (home / "pictures" / "kind0").iterdir():
        path.unlink()
    after = {row.numpy().tobytes() for row in ImageFolder(**cut, split="test").load().real}
    assert after < {row.numpy().tobytes() for row in before}
    wider = ImageFolder(**(cut | {"valid": 0.5}), split="test").load().real
    assert {row.numpy().tobytes() for row in wider} == after, "the test images depend on the test share alone"


def test_celeba_crops_the_centre(home) -> None:
    image = np.zeros((218, 178, 3), dtype=np.uint8)
    image[55:163, 35:143] = 90  # the central 108 x 108
    for name in ("000001.png", "000002.png"):
        tiny_files.save(home / "celeba" / "img_align_celeba" / name, image)
    listing = home / "celeba" / "list_eval_partition.txt"
    listing.write_text("000001.png 0\n000002.png 2\n")
    assert (CelebA().load().real == 90).all()
    assert CelebA().load().real.shape == (1, 3, 64, 64)
    assert (CelebA(crop=160).load().real[:, :, 0] == 0).all()
    with pytest.raises(InvalidValue, match="lists no picture of the split 'valid'"):
        CelebA().validation().load()
    listing.write_text("000001.png 0\n000003.png 0\n")
    with pytest.raises(InputError, match="lacks 000003.png and 0 more"):
        CelebA().load()
    listing.write_text("000001.png\n")
    with pytest.raises(InvalidValue, match="line 1 is '000001.png': expected a file name and 0, 1 or 2"):
        CelebA().load()
