"""Encoded pictures (JPEG, PNG, ...) as images of one size and one kind, by Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from manypaths.data.base import BLOCK
from manypaths.data.stored import About, Images
from manypaths.errors import InvalidValue

if TYPE_CHECKING:
    from PIL.Image import Image

Kind = Literal["grey", "colour"]
_GREY, _COLOUR = ("1", "L", "LA"), ("RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, zlib.error, struct.error)  # what Pillow's decoders raise
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


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
    into luma (ITU-R 601) or repeats grey three times; ``None`` keeps what the pictures are. Transparency is dropped.
    """

    size: int | None = None
    crop: int | None = None
    mode: Kind | None = None

    def apply(self, image: Image) -> Tensor:
        """A picture as uint8 (C, H, W)."""
        from PIL.Image import Resampling

        image = image.convert("L" if self.mode == "grey" else "RGB")
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
    framing: Framing
    exact: tuple[Kind, tuple[int, int]] | None = None

    @abstractmethod
    def items(self, start: int, stop: int) -> list[Item]:
        """Adjacent pictures, still encoded."""

    def about(self, rows: Tensor) -> About:
        """The headers alone: every picture opens, all are of one kind and, without a ``size``, of one size."""
        if self.exact is not None:  # known; ``read`` refuses what differs
            kind, (width, height) = self.exact
            return About((1 if kind == "grey" else 3, height, width), self.note())
        first: tuple[Item, Kind, tuple[int, int]] | None = None
        for block in rows.split(BLOCK):
            start, stop = int(block[0]), int(block[-1]) + 1
            items = self.items(start, stop)
            for row in (block - start).tolist():
                item = items[row]
                with opened(item) as image:
                    kind, size = kind_of(image, item), image.size
                first = first or (item, kind, size)
                self._check(item, kind, size, first)
        assert first is not None
        item, kind, (width, height) = first
        self.framing = replace(self.framing, mode=self.framing.mode or kind)
        side = self.framing.size or self.framing.crop
        shape = (1 if self.framing.mode == "grey" else 3, side or height, side or width)
        return About(shape, self.note())

    def note(self) -> str:
        """What must be said beside numbers made with these pictures."""
        return ""

    def read(self, start: int, stop: int) -> Tensor:
        return torch.stack([self._decoded(item) for item in self.items(start, stop)])

    def _decoded(self, item: Item) -> Tensor:
        with opened(item) as image:
            if self.exact is not None and (found := (kind_of(image, item), image.size)) != self.exact:
                expected, got = (f"{kind}, {_by(size)}" for kind, size in (self.exact, found))
                raise InvalidValue(f"{item.where} is {got}: expected {expected}, as all of {self.name}")
            try:
                return self.framing.apply(image)
            except _BROKEN as error:
                raise _unreadable(item, error) from error

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


def opened(item: Item) -> Image:
    """A picture whose header was read and whose pixels were not."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(item.contents) if isinstance(item.contents, bytes) else item.contents)
    except UnidentifiedImageError:
        raise _unreadable(item, "no known format") from None
    except _BROKEN as error:
        raise _unreadable(item, error) from error


def kind_of(image: Image, item: Item) -> Kind:
    """Whether a picture is grey or coloured."""
    if image.mode not in (*_GREY, *_COLOUR):
        raise InvalidValue(f"{item.where} has pixels of kind {image.mode!r}: expected 8-bit grey or colour")
    return "grey" if image.mode in _GREY else "colour"


def is_picture(path: Path) -> bool:
    """By the name: hidden files and other suffixes are none."""
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")


def _unreadable(item: Item, error: object) -> InvalidValue:
    return InvalidValue(f"{item.where} is not a readable picture ({error}): replace it or take it away")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
