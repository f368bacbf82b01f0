"""Data sets, loaders and tensors as people have them: dicts, tuples, labels of any kind, tables and series."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_files
import torch
from PIL import Image
from torch.utils.data import DataLoader
from typer.testing import CliRunner

from manypaths.cli import app
from manypaths.data.torch_dataset import TorchDataset
from manypaths.errors import InputError
from manypaths.games.adversarial import Adversarial
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.sources.loader import LoaderSource
from manypaths.sources.paired import PairedSource

IMAGES = torch.from_numpy(tiny_files.pixels(8, 3, 4, 4))


def message(make) -> str:
    with pytest.raises(InputError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def source(data, **options) -> PairedSource:
    return PairedSource.from_dataset(data, latent=2, **options)


def dicts(label=lambda i: i % 3) -> list:
    return [{"picture": image, "class": label(i), "path": f"{i}.png"} for i, image in enumerate(IMAGES)]


def test_dict_items_are_read_by_the_keys_that_are_named() -> None:
    found = source(dicts(), image="picture", label="class")
    assert torch.equal(found.real, IMAGES)
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert source(dicts(), image="picture").labels is None
    said = message(lambda: source(dicts()))
    assert said == (
        "items of list are dicts with 'picture' (3, 4, 4), 'class' (int), 'path' (str): name the data's key, and the "
        "label's if there is one (image='picture')"
    )
    assert "did you mean 'picture'?" in message(lambda: source(dicts(), image="pictures"))
    assert "expected neither image nor label" in message(lambda: source(IMAGES, image="picture"))
    assert "expected neither image nor label" in message(lambda: source(list(IMAGES), image=0))


def test_tuple_items_are_read_by_place() -> None:
    items = [(i, i % 2, image) for i, image in enumerate(IMAGES)]
    found = source(items, image=2, label=1)
    assert torch.equal(found.real, IMAGES)
    assert found.labels.tolist() == [0, 1] * 4
    assert source(items, image=2).labels is None
    assert source([(image,) for image in IMAGES]).labels is None
    assert source([(image, None) for image in IMAGES]).labels is None
    assert "have 3 entries and the place is 3: expected a number from 0 to 2" in message(lambda: source(items, image=3))
    assert "have 3 entries and the place is 'x'" in message(lambda: source(items, image="x"))


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool])
def test_labels_of_any_integer_become_class_indices(dtype) -> None:
    labels = torch.tensor([0, 1] * 4, dtype=dtype)
    for found in (
        PairedSource(IMAGES, labels, latent=2),
        source([(image, label) for image, label in zip(IMAGES, labels, strict=True)]),
        source([(image, label.numpy()[()]) for image, label in zip(IMAGES, labels, strict=True)]),
    ):
        assert found.labels.dtype == torch.int64
        assert found.labels.tolist() == [0, 1] * 4


def test_text_labels_are_numbered_and_said() -> None:
    found = source(dicts(lambda i: ["dog", "ant"][i % 2]), image="picture", label="class")
    assert found.labels.tolist() == [1, 0] * 4
    assert found.notes == ("list: labels are text, 2 classes: ant=0, dog=1",)


def test_second_entries_that_are_no_classes_are_left_out_and_said() -> None:
    found = source([(image, {"boxes": []}) for image in IMAGES])
    assert found.labels is None
    assert found.notes == ("list: the second entries of its items are dict and no class indices, and are left out",)
    boxes = [(image, {"boxes": []}) for image in IMAGES]
    assert "the labels of list are dict: expected class indices or text" in message(lambda: source(boxes, label=1))


@pytest.mark.parametrize("make", [lambda a: a, torch.from_numpy], ids=["array", "tensor"])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.int8, bool])
def test_data_in_integers_that_are_no_bytes_are_refused(make, dtype) -> None:
    said = message(lambda: source(make(np.zeros((4, 3), dtype))))
    assert "of shape (4, 3): expected uint8 images, 0 to 255, or floats; turn it to torch.uint8" in said


def test_arrays_that_torch_does_not_take_are_taken_or_refused_in_a_line() -> None:
    table = np.arange(6.0).reshape(3, 2)
    for array in (table.astype(">f4"), table.astype(np.longdouble), table[::-1], table.astype(">f8")):
        assert source(array).real.tolist() == array.tolist()
    assert source(list(table.astype(">f4"))).real.tolist() == table.tolist()
    assert "expected one row per sample, and at least one" in message(lambda: source(np.array(1.0)))
    assert "expected one row per sample, and at least one" in message(lambda: source(np.ones((0, 2))))
    records = np.zeros(3, [("x", "f4"), ("y", "f4")])
    assert "holds records with the fields x, y" in message(lambda: source(records))
    assert "holds complex128: expected real numbers" in message(lambda: source(table + 1j))
    assert "holds <U1: expected real numbers" in message(lambda: source(np.array([["a"]])))
    assert "holds object: expected real numbers" in message(lambda: source(np.array([[None]])))


def test_items_of_two_dtypes_are_one_line() -> None:
    mixed = [torch.zeros(2), torch.zeros(2, dtype=torch.float64)]
    assert "items differ in dtype, torch.float32, torch.float64: expected one" in message(lambda: source(mixed))


def loader(items) -> DataLoader:
    return DataLoader(items, batch_size=4, drop_last=True)


def test_a_loader_of_dicts_is_read_by_the_keys_that_are_named() -> None:
    sample = LoaderSource(loader(dicts()), latent=2, image="picture", label="class").sample(4)
    assert torch.equal(sample.real, IMAGES[:4] / 255.0 * 2 - 1)
    assert sample.label.tolist() == [0, 1, 2, 0]
    assert LoaderSource(loader(dicts()), latent=2, image="picture").sample(4).label is None
    assert "batches of the loader are dicts with 'picture' (4, 3, 4, 4)" in message(
        lambda: LoaderSource(loader(dicts()), latent=2).sample(4)
    )
    text = loader(dicts(lambda i: "cat"))
    assert "the labels of the loader's batches are list: expected a tensor of class indices" in message(
        lambda: LoaderSource(text, latent=2, image="picture", label="class").sample(4)
    )


def test_a_loader_of_tuples_takes_labels_of_any_integer_and_leaves_out_text() -> None:
    labels = torch.arange(8, dtype=torch.int32)
    pairs = list(zip(IMAGES, labels, strict=True))
    assert LoaderSource(loader(pairs), latent=2).sample(4).label.dtype == torch.int64
    assert LoaderSource(loader([(image, "a") for image in IMAGES]), latent=2).sample(4).label is None
    views = [((image, image), 0) for image in IMAGES]
    assert "the data of the loader's batches are list: expected one tensor" in message(
        lambda: LoaderSource(loader(views), latent=2).sample(4)
    )
    whole = [torch.zeros(2, dtype=torch.int64)] * 8
    assert "expected uint8 images, 0 to 255, or floats" in message(
        lambda: LoaderSource(loader(whole), latent=2).sample(4)
    )


class Dicts(torch.utils.data.Dataset):
    text = False

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, i: int):
        return {"x": Image.fromarray(IMAGES[i].permute(1, 2, 0).numpy()), "y": "a" if self.text else np.int32(i)}


class Attributes(Dicts):
    def __getitem__(self, i: int):
        return IMAGES[i], torch.zeros(40)


class Flat(Dicts):
    def __getitem__(self, i: int):
        return IMAGES[i, 0]


def test_a_data_set_of_dicts_from_the_shell(monkeypatch) -> None:
    for one in (Dicts, Attributes, Flat):
        monkeypatch.setattr(tiny_files, one.__name__, one, raising=False)
    data = TorchDataset(dataset="tiny_files:Dicts", image="x", label="y").load()
    assert torch.equal(data.real, IMAGES)
    assert data.labels.dtype == torch.int64
    assert data.labels.tolist() == list(range(8))
    assert "name the data's key" in message(TorchDataset(dataset="tiny_files:Dicts").load)
    monkeypatch.setattr(Dicts, "text", True)
    assert "gives text as labels: expected class indices" in message(
        TorchDataset(dataset="tiny_files:Dicts", image="x", label="y").load
    )
    attributes = TorchDataset(dataset="tiny_files:Attributes").load()
    assert attributes.labels is None
    assert "labels are torch.float32 of shape (40,) and no class indices, and are left out" in attributes.notes[0]
    assert "a grey image is (1, H, W), and points are floats" in message(TorchDataset(dataset="tiny_files:Flat").load)


def game(networks: str = "mlp", shape=(3, 4, 4)) -> Adversarial:
    if networks == "mlp":
        generator, critic = MlpGenerator(latent=2, shape=shape), MlpCritic(shape=shape)
    else:
        generator, critic = DcganGenerator(latent=2, size=8, channels=1), DcganCritic(size=8, channels=1)
    return Adversarial(generator, critic, objective=NonSaturating())


@pytest.mark.parametrize(
    ("data", "networks", "said"),
    [
        (
            torch.zeros(8, 4, 4, 3),
            "mlp",
            "(4, 4, 3): expected the same; channels come first, data.permute(0, 3, 1, 2)",
        ),
        (torch.zeros(8, 2, 9), "dcgan", "(2, 9): expected the same; convolutional networks take images (C, H, W)"),
        (
            torch.zeros(8, 5),
            "dcgan",
            "--set game.generator=mlp-generator --set game.generator.shape=5 --set",
        ),
        (torch.zeros(8, 8, 8), "dcgan", "grey ones (1, H, W)"),
        (torch.zeros(8, 3, 4, 4).double(), "mlp", "the data are float64 and its weights float32, expected the same"),
    ],
)
def test_data_that_do_not_fit_the_networks_say_which_do(data, networks, said) -> None:
    assert said in message(lambda: game(networks).check(source(data).sample(4)))


@pytest.mark.parametrize(("shape", "kind"), [((5,), "points"), ((12,), "series"), ((2, 6), "series")])
def test_tables_and_series_train_and_are_scored_from_the_shell(home, shape, kind) -> None:
    np.save(home / "x.npy", np.random.default_rng(0).normal(size=(64, *shape)))
    sizes = ",".join(map(str, shape))
    settings = {
        **{"data": "array", "data.path": home / "x.npy", "data.kind": kind, "oracle.batch": 8, "steps": 2},
        **{"game.generator.shape": sizes, "game.critic.shape": sizes, "game.generator.bounded": "false"},
    }
    given = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    runner = CliRunner()
    done = runner.invoke(app, ["run", "digits-adam", *given, "--out", str(home / "run")])
    assert done.exit_code == 0, done.output
    taken = "points of 5 numbers" if kind == "points" else "series of 2 x 6" if shape == (2, 6) else "points of 12"
    assert f"float64 taken for 64 {taken}" in done.stderr
    done = runner.invoke(app, ["evaluate", str(home / "run"), "--samples", "64", "--metric", "sliced-wasserstein"])
    assert done.exit_code == 0, done.output
