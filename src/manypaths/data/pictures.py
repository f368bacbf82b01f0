"""Encoded pictures (JPEG, PNG, ...) as images of one size and one kind, by Pillow."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from manypaths.data.base import BLOCK
from manypaths.data.stored import About, Images
from manypaths.errors import InvalidValue
from manypaths.sources.eight_bits import Background, Kind, eight_bits, kind_of, remarks, upright_size
from manypaths.sources.pixels import Range

if TYPE_CHECKING:
    from PIL.Image import Image

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, zlib.error, struct.error)  # what Pillow's decoders raise
_FORMATS = ("PNG", "JPEG", "MPO", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF")
"""Formats that are read, by the contents: some of Pillow's others run programs (EPS)."""

_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif"),
)


@dataclass(frozen=True)
class Item:
    """One encoded picture: where it is, in words, and its file or its bytes."""

    where: str
    contents: Path | bytes


@dataclass(frozen=True)
class Framing:
    """What becomes of a picture: a centre crop, a size, and one channel or three.

    The square of side ``crop`` around the centre is kept (with a ``size`` and no ``crop``, the largest square), then
    scaled to ``size`` x ``size`` with Pillow's bicubic filter, which averages when it shrinks. ``mode`` turns colour
    into luma (ITU-R 601) or repeats grey three times; ``None`` keeps what the pictures are. Before all this a picture
    is turned upright, laid over the ``background`` and scaled from ``range`` to 8 bits (``eight_bits``).
    """

    size: int | None = None
    crop: int | None = None
    mode: Kind | None = None
    background: Background = "white"
    range: Range | None = None

    def apply(self, image: Image, where: str) -> Tensor:
        """A picture as uint8 (C, H, W)."""
        from PIL.Image import Resampling

        image = eight_bits(image, where, mode=self.mode, background=self.background, range=self.range)
        side = self.crop or (min(image.size) if self.size else None)
        if side is not None:
            left, top = (image.width - side) // 2, (image.height - side) // 2
            image = image.crop((left, top, left + side, top + side))
        if self.size is not None and image.size != (self.size, self.size):
            image = image.resize((self.size, self.size), Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image))
        return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


class Pictures(Images):
    """Images that are encoded one by one; subclasses say where they are.

    Attributes:
        framing: what becomes of each.
        exact: the kind and the (width, height) that every picture is known to have, or ``None``.
    """

    encoded = True
    decoding = 2  # 1 ignored the Exif orientation and showed what is hidden under alpha
    framing: Framing
    exact: tuple[Kind, tuple[int, int]] | None = None
    _shape: tuple[int, int, int] | None = None

    @abstractmethod
    def items(self, start: int, stop: int) -> list[Item]:
        """Adjacent pictures, still encoded."""

    def about(self, rows: Tensor) -> About:
        """The headers alone: every picture opens, all are of one kind and, without a ``size``, of one size."""
        if self.exact is not None:  # known; ``read`` refuses what differs
            kind, (width, height) = self.exact
            return About((1 if kind == "grey" else 3, height, width), self.note())
        first: tuple[Item, Kind, tuple[int, int]] | None = None
        broken: list[UnreadablePicture] = []
        remarked: Counter[str] = Counter()
        with _pillows_warnings():
            for item in self._items(rows):
                try:
                    with opened(item) as image, _readable(item):
                        kind, size = kind_of(image, item.where), upright_size(image)
                        found = remarks(image, item.where, background=self.framing.background, range=self.framing.range)
                except UnreadablePicture as error:
                    broken.append(error)
                    continue
                remarked.update(found)
                first = first or (item, kind, size)
                self._check(item, kind, size, first)
        if broken:
            others = f"; {len(broken) - 1} more cannot be read, the next is {broken[1].where}" if broken[1:] else ""
            raise InvalidValue(f"{broken[0]}{others}")
        assert first is not None
        item, kind, (width, height) = first
        self.framing = replace(self.framing, mode=self.framing.mode or kind)
        side = self.framing.size or self.framing.crop
        self._shape = (1 if self.framing.mode == "grey" else 3, side or height, side or width)
        notes = tuple(f"{self.name}: {n:,} of {len(rows):,} pictures {what}" for what, n in remarked.items())
        return About(self._shape, self.note(), notes)

    def _items(self, rows: Tensor) -> Iterator[Item]:
        for block in rows.split(BLOCK):
            start, stop = int(block[0]), int(block[-1]) + 1
            items = self.items(start, stop)
            yield from (items[row] for row in (block - start).tolist())

    def note(self) -> str:
        """What must be said beside numbers made with these pictures."""
        return ""

    def read(self, start: int, stop: int) -> Tensor:
        with _pillows_warnings():
            return torch.stack([self._decoded(item) for item in self.items(start, stop)])

    def _decoded(self, item: Item) -> Tensor:
        with opened(item) as image:
            if self.exact is not None and (found := (kind_of(image, item.where), image.size)) != self.exact:
                expected, got = (f"{kind}, {_by(size)}" for kind, size in (self.exact, found))
                raise InvalidValue(f"{item.where} is {got}: expected {expected}, as all of {self.name}")
            with _readable(item):
                pixels = self.framing.apply(image, item.where)
        if self._shape is not None and pixels.shape != self._shape:  # an orientation that stands behind the pixels
            raise InvalidValue(
                f"{item.where} is {_by((pixels.shape[2], pixels.shape[1]))} once it is upright: set size "
                "(--set data.size=64)"
            )
        return pixels

    def _check(self, item: Item, kind: Kind, size: tuple[int, int], first: tuple[Item, Kind, tuple[int, int]]) -> None:
        other, its_kind, its_size = first
        if self.framing.mode is None and kind != its_kind:
            raise InvalidValue(
                f"{item.where} is {kind} and {other.where} is {its_kind}: set mode to 'grey' or 'colour' for all of "
                "them (--set data.mode=colour)"
            )
        crop, side = self.framing.crop, self.framing.size
        if crop is not None and min(size) < crop:
            raise InvalidValue(f"{item.where} is {_by(size)}: expected at least the crop of {crop} pixels")
        if crop is None and side is None and size != its_size:
            raise InvalidValue(
                f"{item.where} is {_by(size)} and {other.where} is {_by(its_size)}: set size, to which all of them are "
                "scaled after a centre crop (--set data.size=64)"
            )


class UnreadablePicture(InvalidValue):
    """A picture that Pillow cannot read, or will not for its size."""

    def __init__(self, where: str, why: str):
        super().__init__(f"{where} {why}")
        self.where = where


def opened(item: Item) -> Image:
    """A picture whose header was read and whose pixels were not."""
    from PIL import Image, UnidentifiedImageError

    Image.init()  # a list of formats may name none that this Pillow lacks
    formats = [name for name in _FORMATS if name in Image.OPEN]
    contents = io.BytesIO(item.contents) if isinstance(item.contents, bytes) else item.contents
    with _readable(item):
        try:
            image = Image.open(contents, formats=formats)
        except UnidentifiedImageError:
            raise UnreadablePicture(item.where, _BAD.format("no known format")) from None
        if image.format == "TIFF":
            image.filename = ""  # a file that Pillow maps is turned in its size and not in its pixels
        return image


_BAD = "is not a readable picture ({}): replace it or take it away"


@contextlib.contextmanager
def _readable(item: Item) -> Iterator[None]:
    """Whatever Pillow's decoders raise becomes one line, more pixels than it takes for safe among it."""
    from PIL.Image import DecompressionBombError, DecompressionBombWarning

    try:
        yield
    except (DecompressionBombError, DecompressionBombWarning) as error:
        size = next((word for word in str(error).split() if word.lstrip("(").isdigit()), "too many").lstrip("(")
        raise UnreadablePicture(
            item.where,
            f"has {size} pixels, more than Pillow takes for safe: shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS",
        ) from None
    except InvalidValue:
        raise
    except _BROKEN as error:
        raise UnreadablePicture(item.where, _BAD.format(str(error).partition("\n")[0])) from error


@contextlib.contextmanager
def _pillows_warnings() -> Iterator[None]:
    """Its warning of too many pixels is an error here; those of damaged Exif data and the like are not passed on."""
    from PIL.Image import DecompressionBombWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("error", DecompressionBombWarning)
        yield


def is_picture(path: Path) -> bool:
    """By the name: hidden files and other suffixes are none."""
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
