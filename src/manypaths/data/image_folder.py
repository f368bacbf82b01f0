"""A folder of pictures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from manypaths import fields
from manypaths.data.base import Data
from manypaths.data.listing import listed
from manypaths.data.pictures import Framing, Item, Pictures
from manypaths.data.splits import HashedSplits
from manypaths.data.stored import RESIDENT_BYTES, stamp
from manypaths.errors import MissingData
from manypaths.sources.eight_bits import Background, Kind
from manypaths.sources.pixels import Range


@dataclass(frozen=True, kw_only=True)
class ImageFolder(HashedSplits):
    """Any folder of pictures; its sub-folders, where it has some, are the classes.

    Pictures (png, jpg, gif, bmp, webp, tif, ppm, avif) are taken in the order of their names. With sub-folders, the
    label is the number of the picture's first sub-folder among their sorted names. Hidden files and folders, broken
    links and other suffixes are passed over and counted in ``Data.notes``. Pictures are turned upright.

    Attributes:
        path: the folder.
        size: side of the images; none keeps the pictures' own, which must then be one.
        crop: side of the square around the centre that is kept; with a ``size``, the largest square by default.
        mode: ``"grey"`` (one channel) or ``"colour"`` (three); none takes what the pictures are, if all are alike.
        background: what stands behind transparent pixels.
        range: what black and white are in pictures of more than 8 bits; none: 0 and 65535 for 16 bits. Pictures of
            floats or 32-bit integers need it, and values outside it are refused.
        resident_bytes: above so many decoded bytes the images are mapped from a file.
    """

    path: str
    size: fields.PositiveInt | None = None
    crop: fields.PositiveInt | None = None
    mode: Kind | None = None
    background: Background = "white"
    range: Range | None = None
    resident_bytes: fields.NonNegativeInt = RESIDENT_BYTES

    def load(self) -> Data:
        folder = Path(self.path).expanduser()
        if not folder.is_dir():
            raise MissingData(f"{folder} is not a folder: expected one with pictures in it (--set data.path=...)")
        found = listed(folder)
        rows = self.rows([path.relative_to(folder).as_posix() for path in found.paths])
        chosen = [found.paths[i] for i in rows.tolist()]
        framing = Framing(self.size, self.crop, self.mode, self.background, self.range)
        labels = None if found.labels is None else found.labels[rows]
        data = PictureFiles(folder.name, folder, chosen, framing, labels, self.resident_bytes).take(slice(None))
        return dataclasses.replace(data, notes=(*found.notes, *data.notes))


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
