"""A picture of Pillow's as 8-bit grey or colour: upright, with nothing hidden under alpha and nothing saturated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from manypaths.errors import InvalidValue
from manypaths.sources.pixels import Range, scaled

if TYPE_CHECKING:
    from PIL.Image import Image

Kind = Literal["grey", "colour"]
Background = Literal["white", "black", "grey"]
"""What stands behind transparent pixels: 255, 0 or 128 in all channels."""

_BEHIND = {"white": 255, "black": 0, "grey": 128}
_GREY, _COLOUR = ("1", "L", "LA", "La"), ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_ORIENTATION, _WIDTH, _HEIGHT, _BITS_PER_SAMPLE = 274, 256, 257, 258  # tags of Exif and TIFF


def kind_of(image: Image, where: str) -> Kind:
    """Whether a picture is grey or coloured."""
    if image.mode in _COLOUR:
        return "colour"
    if image.mode in _GREY or _is_wide(image):
        return "grey"
    raise InvalidValue(f"{where} has pixels of kind {image.mode!r}: expected grey or colour; convert it")


def eight_bits(
    image: Image, where: str, *, mode: Kind | None = None, background: Background = "white", range: Range | None = None
) -> Image:
    """The picture in Pillow's mode ``L`` or ``RGB``, upright.

    Transparent pixels are laid over the background: what is stored beneath them was never to be seen. Pixels of more
    than 8 bits are scaled from ``range``, by default that of a 16-bit integer, to 0 .. 255.
    """
    from PIL import Image as Pillow

    mode = mode or kind_of(image, where)
    image.load()
    image = _upright(image)
    if _is_wide(image):
        if is_transparent(image):
            raise InvalidValue(f"{where} has more than 8 bits and a transparent value: save it without transparency")
        low, high = range or _stated_range(image, where)
        image = Pillow.fromarray(scaled(np.asarray(image), low, high, where))
    if is_transparent(image):
        layer = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, "RGBA")).convert("RGBA")
        behind = Pillow.new("RGBA", image.size, (*[_BEHIND[background]] * 3, 255))
        image = Pillow.alpha_composite(behind, layer).convert("RGB")
    return image.convert("L" if mode == "grey" else "RGB")


def is_transparent(image: Image) -> bool:
    """Whether some pixels may be seen through: an alpha channel, or a colour that is declared transparent."""
    return image.mode in _ALPHA or "transparency" in image.info


def upright_size(image: Image) -> tuple[int, int]:
    """Width and height after the Exif orientation, as far as the header tells it."""
    width, height = image.size
    if image.format == "TIFF":  # whose size is turned already by some versions of Pillow
        tags = getattr(image, "tag_v2", {})
        width, height = tags.get(_WIDTH, width), tags.get(_HEIGHT, height)
    return (height, width) if _header_orientation(image) >= 5 else (width, height)


def remarks(image: Image, where: str, *, background: Background, range: Range | None) -> list[str]:
    """What ``eight_bits`` will do to a picture beyond reading it, in words; from its header alone."""
    found = []
    if _header_orientation(image) > 1:
        found.append("turned upright as their Exif orientation says")
    if is_transparent(image):
        found.append(f"with transparency laid over {background} (--set data.background=...)")
    if _is_wide(image):
        low, high = range or _stated_range(image, where)
        found.append(f"of more than 8 bits scaled from {low:g} .. {high:g} to 0 .. 255 (--set data.range=...)")
    if getattr(image, "is_animated", False) and image.format != "MPO":  # an MPO's first picture is the picture
        found.append("of several frames taken by the first one")
    return found


def _is_wide(image: Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _stated_range(image: Image, where: str) -> Range:
    """That of unsigned integers of so many bits; Pillow scales every netpbm file to 16 bits."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PPM", "PNG")):
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, 16)
        return 0.0, 2.0 ** (bits[0] if isinstance(bits, tuple) else bits) - 1.0
    kind = "floats" if image.mode == "F" else "32-bit integers"
    raise InvalidValue(
        f"{where} holds {kind} and no file states their range: set range to what black and white are "
        "(--set data.range=0,1)"
    )


def _header_orientation(image: Image) -> int:
    if image.format == "PNG" and not {"exif", "Raw profile type exif", "xmp"} & set(image.info):
        return 1  # Pillow would decode the whole picture to look behind the pixels
    return _orientation(image)


def _orientation(image: Image) -> int:
    found = image.getexif().get(_ORIENTATION, 1)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _upright(image: Image) -> Image:
    from PIL.ImageOps import exif_transpose

    return image if _orientation(image) == 1 else exif_transpose(image)
