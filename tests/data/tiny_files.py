"""A small copy of every data set's files, in the documented layout; pixels differ from image to image."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import torch
from PIL import Image

COUNTS = {"train": 40, "test": 16}


def pixels(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind)
    return out.getvalue()


def save(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def idx_files(folder: Path) -> None:
    folder.mkdir()
    for seed, (part, prefix) in enumerate((("train", "train"), ("test", "t10k"))):
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(pixels(COUNTS[part], 28, 28, seed=seed)))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.arange(COUNTS[part], dtype=np.uint8) % 10))


def cifar10(home: Path) -> None:
    folder = home / "cifar10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    for seed, name in enumerate(names):
        labels = (np.arange(8, dtype=np.uint8) + seed) % 10
        records = np.concatenate([labels[:, None], pixels(8, 3072, seed=seed)], axis=1)
        (folder / name).write_bytes(records.tobytes())


def svhn(home: Path) -> None:
    from scipy.io import savemat

    (home / "svhn").mkdir()
    for seed, name in enumerate(("train", "test", "extra")):
        labels = np.arange(12, dtype=np.uint8)[:, None] % 10 + 1
        savemat(home / "svhn" / f"{name}_32x32.mat", {"X": pixels(32, 32, 3, 12, seed=seed), "y": labels})


def celeba(home: Path) -> None:
    lines = []
    for i, image in enumerate(pixels(12, 27, 22, 3)):
        big = np.asarray(Image.fromarray(image).resize((178, 218)))
        save(home / "celeba" / "img_align_celeba" / f"{i + 1:06d}.jpg", big)
        lines.append(f"{i + 1:06d}.jpg {0 if i < 7 else 1 if i < 10 else 2}")
    (home / "celeba" / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")


def imagenet(home: Path, size: int = 32) -> None:
    folder = home / f"imagenet{size}"
    folder.mkdir()
    for seed, name in enumerate([*(f"train_data_batch_{i}" for i in range(1, 11)), "val_data"]):
        labels = np.arange(4) * 300 + 1 + seed
        save_npz = np.savez_compressed if seed % 2 else np.savez
        save_npz(
            folder / name, data=pixels(4, 3 * size * size, seed=seed), labels=labels, mean=np.zeros(3 * size * size)
        )


def image_folder(home: Path) -> None:
    for i, image in enumerate(pixels(60, 10, 12, 3)):
        save(home / "pictures" / f"kind{i % 3}" / f"{i:03d}.png", image)


def array(home: Path) -> None:
    np.savez(home / "all.npz", images=pixels(60, 8, 8, 3), labels=np.arange(60) % 7)


def hub(home: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    folder = home / "hub" / "someone" / "pictures" / "data"
    folder.mkdir(parents=True)
    for seed, (split, count) in enumerate(COUNTS.items()):
        rows = [{"bytes": encoded(image), "path": None} for image in pixels(count, 9, 9, 3, seed=seed)]
        table = pyarrow.table({"image": rows, "label": list(range(count))})
        name = f"{split}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(table, folder / name, row_group_size=7)


class Own(torch.utils.data.Dataset):
    """A data set of the user's own, of pictures and labels."""

    images = pixels(60, 6, 6, 3)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int):
        return Image.fromarray(self.images[i]), i % 5


def build(name: str, home: Path) -> dict:
    """Write the files of a data set under ``home``; the settings it needs besides them."""
    if name in ("mnist", "mnist-14", "color-mnist", "stacked-mnist"):
        idx_files(home / "mnist")
    elif name == "fashion-mnist":
        idx_files(home / "fashion-mnist")
    elif name in WRITERS:
        WRITERS[name](home)
    return {key: str(home / value) if key == "path" else value for key, value in SETTINGS.get(name, {}).items()}


WRITERS = {
    "cifar10": cifar10,
    "svhn": svhn,
    "celeba": celeba,
    "imagenet": imagenet,
    "image-folder": image_folder,
    "array": array,
    "hub": hub,
}
SETTINGS = {
    "image-folder": {"path": "pictures", "valid": 0.2, "test": 0.3},
    "array": {"path": "all.npz", "images": "images", "labels": "labels", "valid": 0.2, "test": 0.3},
    "torch-dataset": {"dataset": "tiny_files:Own", "valid": 0.2, "test": 0.3},
    "hub": {"repository": "someone/pictures"},
}
