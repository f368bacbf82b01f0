"""CelebA, aligned and cropped faces."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from manypaths import fields
from manypaths.data.base import Data, DataSet, data_directory, missing
from manypaths.data.image_folder import PictureFiles
from manypaths.data.pictures import Framing
from manypaths.data.splits import SplitName
from manypaths.data.stored import RESIDENT_BYTES
from manypaths.errors import InvalidValue, MissingData

_ORIGIN = "'Align&Cropped Images' and 'Train/Val/Test Partitions', https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
_NUMBERS = {"0": "train", "1": "valid", "2": "test"}


@dataclass(frozen=True, kw_only=True)
class CelebA(DataSet):
    """202,599 faces of celebrities, 64x64 in colour (Liu et al. 2015), in the official three parts.

    Of each aligned picture (178x218) the square of side ``crop`` around the centre is kept and scaled to ``size`` with
    Pillow's bicubic filter; 108, the DCGAN code's, shows the face, 160 also hair and background. Scores for different
    crops are not comparable. There are no labels.

    Read from ``<data directory>/celeba/``: the folder ``img_align_celeba`` and ``list_eval_partition.txt``, whose lines
    (``000001.jpg 0``) put each picture into ``train`` (162,770), ``valid`` (19,867) or ``test`` (19,962).

    Attributes:
        split: the official part.
        limit: keep only the first images of the split.
        size, crop: sides of the images, and of the squares they are made from.
        resident_bytes: above so many decoded bytes the images are mapped from a file.
    """

    split: SplitName = "train"
    limit: fields.PositiveInt | None = None
    size: fields.PositiveInt = 64
    crop: fields.PositiveInt = 108
    resident_bytes: fields.NonNegativeInt = RESIDENT_BYTES

    def __post_init__(self) -> None:
        fields.check(self)

    def reference(self) -> DataSet:
        return dataclasses.replace(self, split="test", limit=None)

    def validation(self) -> DataSet:
        return dataclasses.replace(self, split="valid", limit=None)

    def load(self) -> Data:
        folder = data_directory() / "celeba"
        listing, pictures = folder / "list_eval_partition.txt", folder / "img_align_celeba"
        if not (listing.is_file() and pictures.is_dir()):
            raise missing("CelebA", folder, "list_eval_partition.txt and the folder img_align_celeba", _ORIGIN)
        names = _names(listing, self.split)[: self.limit]
        present = {path.name for path in pictures.iterdir()}
        if absent := [name for name in names if name not in present]:
            raise MissingData(f"{pictures} lacks {absent[0]} and {len(absent) - 1} more that {listing.name} lists")
        framing = Framing(self.size, self.crop, "colour")
        files = PictureFiles(
            "celeba", folder, [pictures / n for n in names], framing, resident_bytes=self.resident_bytes
        )
        return files.take(slice(None))


def _names(listing: Path, split: str) -> list[str]:
    """The pictures of a split, in the order of the listing."""
    found = []
    for number, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split()
        if len(words) != 2 or words[1] not in _NUMBERS:
            raise InvalidValue(f"{listing}, line {number} is {line!r}: expected a file name and 0, 1 or 2")
        if _NUMBERS[words[1]] == split:
            found.append(words[0])
    if not found:
        raise InvalidValue(f"{listing} lists no picture of the split {split!r}: expected some")
    return found
