"""A folder of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from manypaths import fields
from manypaths.data.base import Data
from manypaths.data.pictures import Framing, Item, Kind, Pictures, is_picture
from manypaths.data.splits import HashedSplits
from manypaths.data.stored import RESIDENT_BYTES, stamp
from manypaths.errors import InvalidValue, MissingData

_PARTS = {"train", "training", "valid", "val", "validation", "test"}


@dataclass(frozen=True, kw_only=True)
class ImageFolder(HashedSplits):
    """Any folder of pictures; its sub-folders, where it has some, are the classes.

    Pictures (png, jpg, bmp, webp, tif, ppm) are taken in the order of their names. With sub-folders, the label is the
    number of the picture's first sub-folder among their sorted names; hidden files and other suffixes are passed over.

    Attributes:
        path: the folder.
        size: side of the images; none keeps the pictures' own, which must then be one.
        crop: side of the square around the centre that is kept; with a ``size``, the largest square by default.
        mode: ``"grey"`` (one channel) or ``"colour"`` (three); none takes what the pictures are, if all are alike.
        resident_bytes: above so many decoded bytes the images are mapped from a file.
    """

    path: str
    size: fields.PositiveInt | None = None
    crop: fields.PositiveInt | None = None
    mode: Kind | None = None
    resident_bytes: fields.NonNegativeInt = RESIDENT_BYTES

    def load(self) -> Data:
        folder = Path(self.path).expanduser()
        if not folder.is_dir():
            raise MissingData(f"{folder} is not a folder: expected one with pictures in it (--set data.path=...)")
        paths, labels = _listed(folder)
        names = [path.relative_to(folder).as_posix() for path in paths]
        rows = self.rows(names)
        chosen = [paths[i] for i in rows.tolist()]
        framing = Framing(self.size, self.crop, self.mode)
        chosen_labels = None if labels is None else labels[rows]
        return PictureFiles(folder.name, folder, chosen, framing, chosen_labels, self.resident_bytes).take(slice(None))


class PictureFiles(Pictures):
    """Pictures in files of their own."""

    def __init__(
        self,
        name: str,
        folder: Path,
        paths: list[Path],
        framing: Framing,
        labels: Tensor | None = None,
        resident_bytes: int = RESIDENT_BYTES,
    ):
        self.name, self.paths, self.framing, self.labels = name, paths, framing, labels
        self.resident_bytes = resident_bytes
        self.made_of = [str(folder.resolve()), repr(framing), [[str(p.parent), *stamp(p)] for p in paths]]

    def __len__(self) -> int:
        return len(self.paths)

    def items(self, start: int, stop: int) -> list[Item]:
        return [Item(str(path), path) for path in self.paths[start:stop]]


def _listed(folder: Path) -> tuple[list[Path], Tensor | None]:
    """All pictures below a folder, and their labels where it has sub-folders with pictures."""
    loose = sorted(path for path in folder.iterdir() if path.is_file() and is_picture(path))
    classes = {}
    for inner in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        if found := sorted(path for path in inner.rglob("*") if path.is_file() and is_picture(path)):
            classes[inner.name] = found
    if not loose and not classes:
        raise InvalidValue(
            f"{folder} holds no pictures: expected .png, .jpg or other files, or one sub-folder per class"
        )
    if not classes:
        return loose, None
    if loose:
        raise InvalidValue(
            f"{folder} holds {loose[0].name} beside the sub-folder {next(iter(classes))}: expected pictures, or one "
            "sub-folder per class"
        )
    if any(name.lower() in _PARTS for name in classes):
        raise InvalidValue(
            f"{folder} has the sub-folders {', '.join(classes)}, which are parts and no classes: expected one of them "
            "as path"
        )
    labels = [torch.full((len(found),), label) for label, found in enumerate(classes.values())]
    return [path for found in classes.values() for path in found], torch.cat(labels)
