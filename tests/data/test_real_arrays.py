"""Arrays as people have them: of other dtypes, layouts and byte orders; what they were taken for is said."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_files
import torch

from manypaths.data.array import Array
from manypaths.errors import InputError

BYTES = tiny_files.pixels(6, 3, 8, 5)
GREY = BYTES[:, 0]


def load(home, array, **settings):
    np.save(home / "a.npy", array)
    return Array(path=str(home / "a.npy"), **settings).load()


def message(home, array, **settings) -> str:
    with pytest.raises(InputError) as caught:
        load(home, array, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_an_array_was_taken_for_is_said(home) -> None:
    taken = lambda array, **settings: load(home, array, **settings).notes[0].removeprefix(f"{home / 'a.npy'}: ")  # noqa: E731
    assert taken(BYTES) == "uint8 taken for 6 colour pictures, 8 high and 5 wide"
    assert taken(BYTES.transpose(0, 2, 3, 1)) == "uint8 taken for 6 colour pictures, 8 high and 5 wide"
    assert taken(GREY) == "uint8 taken for 6 grey pictures, 8 high and 5 wide"
    assert taken(np.zeros((6, 4))) == "float64 taken for 6 points of 4 numbers"
    assert taken(np.zeros((6, 2, 9)), kind="series") == "float64 taken for 6 series of 2 x 9 (channels x length)"


@pytest.mark.parametrize(
    ("array", "low", "high"),
    [
        (BYTES / 255.0, 0, 1),
        ((BYTES / 255.0).astype(np.float32), 0, 1),
        ((BYTES / 255.0 * 2 - 1).astype(np.float32), -1, 1),
        (BYTES.astype(np.float16), 0, 255),
        (BYTES.astype(np.longdouble), 0, 255),
        (BYTES.astype(">f8"), 0, 255),
        (BYTES.astype(np.int16), 0, 255),
        (BYTES.astype(">i4"), 0, 255),
        (BYTES.astype(np.int64), 0, 255),
        (BYTES.astype(np.uint64), 0, 255),
        (BYTES.astype(np.uint16) * 257, 0, 65535),
        (BYTES.astype(">u2") * 257, 0, 65535),
    ],
)
def test_pictures_in_other_numbers_are_scaled_from_their_range(home, array, low, high) -> None:
    data = load(home, array)
    assert data.real.dtype == torch.uint8
    assert torch.equal(data.real, torch.from_numpy(BYTES))
    assert (high == 255) == ("scaled to" not in data.notes[-1] or "0 .. 255 scaled to 0 .. 255" in data.notes[-1])
    assert high == 255 or f"{low} .. {high} scaled to 0 .. 255" in data.notes[-1]
    mapped = Array(path=str(home / "a.npy"), resident_bytes=10).load()
    assert torch.equal(mapped.real, data.real)
    assert mapped.notes == data.notes


def test_training_and_test_images_are_scaled_alike(home) -> None:
    array = np.full((40, 2, 2), 0.25)
    array[11] = -1.0  # only one of the splits holds it
    cut = {"kind": "images", "test": 0.5}
    train, test = (load(home, array, **cut, split=split).real for split in ("train", "test"))
    assert train.float().median() == test.float().median() == round((0.25 + 1) / 2 * 255)


def test_bools_are_black_and_white(home) -> None:
    data = load(home, GREY > 100)
    assert torch.equal(data.real[:, 0], torch.from_numpy(np.where(GREY > 100, 255, 0).astype(np.uint8)))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        ((GREY > 100).astype(np.uint8), "holds uint8 of shape (6, 8, 5), 0 and 1 only: set range"),
        ((BYTES > 100).astype(np.int64), "holds int64 of shape (6, 3, 8, 5), 0 and 1 only: set range"),
        (BYTES.astype(np.uint16), "holds uint16 of shape (6, 3, 8, 5), values from 0 to 255: set range"),
        (BYTES.astype(np.int16) * 16, "values from 0 to 4080: set range to what black and white are"),
        (BYTES.astype(np.int16) - 128, "values from -128 to 127: set range"),
        ((BYTES - 128.0) / 64, "values from -2 to 1.98438: set range"),
        (np.full((2, 3, 4, 5), np.nan), "holds numbers that are not finite, in rows 0 to 1"),
        (BYTES[..., None], "has shape (6, 3, 8, 5, 1): expected (N, H, W)"),
        (
            BYTES[0].transpose(1, 2, 0),
            "one picture (H, W, C), or 8 grey ones that are 3 wide: give one picture an axis",
        ),
        (GREY.reshape(6, -1), "holds uint8 of shape (6, 40), flattened pictures or a table: reshape it to (N, H, W)"),
        (GREY / 255, "holds float64 of shape (6, 8, 5), grey pictures (N, H, W) or series (N, C, L): set kind to"),
        (np.zeros((6, 8, 5, 4), np.uint8), "expected one or three channels; lay transparent ones over a background"),
        (np.float64(3.0), "holds one number, an array without axes"),
        (np.zeros(6), "has shape (6,): expected (N, H, W), (N, C, H, W), (N, H, W, C) or points (N, d); a table of"),
        (np.zeros((0, 3)), "has shape (0, 3): expected at least one sample"),
        (np.zeros((3, 0)), "has shape (3, 0): expected at least one sample"),
        (np.zeros((4, 2), np.complex128), "holds complex128: expected real numbers"),
        (np.array([["a", "b"]]), ": expected real numbers"),
        (np.zeros((4, 2), "M8[s]"), "holds datetime64[s]: expected real numbers"),
        (np.zeros((4, 2), [("x", "f4"), ("y", "f4")]), "records with the fields x, y: expected one array of numbers"),
        (np.array([[0.0, np.inf]]), "holds 1 numbers that are not finite"),
    ],
)
def test_what_could_be_two_things_is_refused_with_what_decides(home, array, said) -> None:
    assert said in message(home, array)


def test_a_stated_range_and_kind_decide(home) -> None:
    mask = (GREY > 100).astype(np.uint8)
    assert torch.equal(load(home, mask, range=(0, 1)).real[:, 0], torch.from_numpy(mask * 255))
    assert torch.equal(load(home, mask, range=(0, 255)).real[:, 0], torch.from_numpy(mask))
    assert load(home, BYTES.astype(np.int16) * 16, range=(0, 4080)).real.equal(torch.from_numpy(BYTES))
    assert load(home, GREY / 255, kind="images").real[:, 0].equal(torch.from_numpy(GREY))
    assert load(home, GREY.reshape(6, -1), kind="points").real.shape == (6, 40)
    assert "from 0 to 3968: expected 0 to 255; set range" in message(home, BYTES.astype(np.int16) * 16, range=(0, 255))
    assert "range is (0.0, 1.0) and" in message(home, np.zeros((3, 2)), range=(0, 1))
    assert "has shape (3, 2) and kind is 'images': expected (N, H, W), (N, C" in message(
        home, np.zeros((3, 2)), kind="images"
    )


@pytest.mark.parametrize("dtype", [">f8", np.float16, np.int32, ">i2", np.int8, np.uint16])
def test_tables_of_any_numbers_become_floats(home, dtype) -> None:
    table = np.arange(12).reshape(4, 3).astype(dtype)
    data = load(home, table)
    assert data.real.dtype == torch.float32
    assert data.real.tolist() == table.tolist()


@pytest.mark.parametrize("name", ["a.npz", "a.pt", "a.safetensors"])
def test_other_files_hold_other_numbers_too(home, name) -> None:
    from safetensors.torch import save_file

    images = {"x": torch.from_numpy(BYTES.astype(np.uint16) * 257)}
    if name == "a.npz":
        np.savez(home / name, x=BYTES.astype(">u2") * 257, text=np.array(["a"]), things=np.array([{}], dtype=object))
    elif name == "a.pt":
        torch.save(images, home / name)
    else:
        save_file(images, home / name)
    data = Array(path=str(home / name), images="x").load()
    assert torch.equal(data.real, torch.from_numpy(BYTES))
    assert "uint16 taken for 6 colour pictures" in data.notes[0]


@pytest.mark.parametrize(
    "labels",
    [
        np.array([2, 0, 1, 0, 1, 2], dtype=dtype)
        for dtype in (np.int8, np.uint8, ">i2", np.int32, np.uint32, np.int64, np.uint64, np.float32)
    ]
    + [
        np.array(["dog", "ant", "cat", "ant", "cat", "dog"]),
        np.array([[b"c"], [b"a"], [b"b"], [b"a"], [b"b"], [b"c"]]),
    ],
)
def test_labels_of_any_width_and_text_are_class_indices(home, labels) -> None:
    np.save(home / "y.npy", labels)
    data = load(home, BYTES, labels=str(home / "y.npy"))
    assert data.labels.dtype == torch.int64
    assert data.labels.tolist() == [2, 0, 1, 0, 1, 2]
    said = " ".join(data.notes)
    assert ("labels are text, 3 classes:" in said) == (labels.dtype.kind in "US")
    assert ("whole numbers" in said) == (labels.dtype.kind == "f")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.eye(6), "the labels are float64 of shape (6, 6): expected 6 class indices >= 0; take the argmax"),
        (np.array([0.5] * 6), "expected 6 class indices >= 0, whole numbers"),
        (np.array([-1] * 6), "expected 6 class indices >= 0, and the least is -1"),
        (np.zeros(5, int), "the labels are int64 of shape (5,): expected 6 class indices"),
        (np.zeros(6, complex), "the labels are complex128 of shape (6,)"),
    ],
)
def test_labels_that_are_no_classes_are_refused(home, labels, said) -> None:
    np.save(home / "y.npy", labels)
    assert said in message(home, BYTES, labels=str(home / "y.npy"))


def test_bool_labels_are_two_classes(home) -> None:
    np.save(home / "y.npy", np.array([True, False] * 3))
    assert load(home, BYTES, labels=str(home / "y.npy")).labels.tolist() == [1, 0] * 3
