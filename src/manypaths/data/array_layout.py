"""What an array is taken for: pictures, series or points; from its shape and dtype, and said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from manypaths.data.arrays import StoredArray
from manypaths.errors import InvalidValue

Channels = Literal["first", "last"]
ArrayKind = Literal["images", "series", "points"]

_SHAPES = "(N, H, W), (N, C, H, W), (N, H, W, C) or points (N, d)"
_NDIM = {"images": (3, 4), "series": (2, 3), "points": (2,)}
_EXPECTED = {
    "images": "(N, H, W), (N, C, H, W) or (N, H, W, C)",
    "series": "(N, L) or (N, C, L)",
    "points": "(N, d)",
}


@dataclass(frozen=True)
class Layout:
    """The kind of the samples in an array, and for images where the channels stand (none: there is no such axis)."""

    kind: ArrayKind
    channels: Channels | None = None

    def note(self, array: StoredArray) -> str:
        """One line that says what the array was taken for."""
        n, *rest = array.shape
        sizes = " x ".join(map(str, rest))
        if self.kind == "points":
            return f"{array.where}: {array.dtype} taken for {n:,} points of {sizes} numbers"
        if self.kind == "series":
            return f"{array.where}: {array.dtype} taken for {n:,} series of {sizes} (channels x length)"
        channels = 1 if self.channels is None else rest[0 if self.channels == "first" else -1]
        height, width = rest[:2] if self.channels != "first" else rest[1:]
        colour = "grey" if channels == 1 else "colour"
        return f"{array.where}: {array.dtype} taken for {n:,} {colour} pictures, {height} high and {width} wide"


def layout_of(array: StoredArray, kind: ArrayKind | None, channels: Channels | None) -> Layout:
    """What the array is taken for; what could be two things is refused, with the setting that decides."""
    shape, ndim, where = array.shape, len(array.shape), array.where
    if not ndim:
        raise InvalidValue(f"{where} holds one number, an array without axes: expected {_SHAPES}")
    if 0 in shape:
        raise InvalidValue(f"{where} has shape {shape}: expected at least one sample and one number in each")
    if kind is not None:
        if ndim not in _NDIM[kind]:
            raise InvalidValue(f"{where} has shape {shape} and kind is {kind!r}: expected {_EXPECTED[kind]}")
    elif ndim == 1:
        raise InvalidValue(f"{where} has shape {shape}: expected {_SHAPES}; a table of one column is (N, 1)")
    elif ndim > 4:
        raise InvalidValue(f"{where} has shape {shape}: expected {_SHAPES}; reshape it")
    else:
        kind = _guessed(array)
    if kind != "images":
        return Layout(kind if ndim == 3 else "points")
    return Layout("images", _channels(shape, channels, where) if ndim == 4 else None)


def _guessed(array: StoredArray) -> ArrayKind:
    shape, where, of = array.shape, array.where, f"{array.dtype} of shape {array.shape}"
    whole = array.dtype in ("bool", "uint8")
    if len(shape) == 2:
        if whole:
            raise InvalidValue(
                f"{where} holds {of}, flattened pictures or a table: reshape it to (N, H, W), or set kind "
                "(--set data.kind=points)"
            )
        return "points"
    if len(shape) == 3 and "float" in array.dtype:
        raise InvalidValue(
            f"{where} holds {of}, grey pictures (N, H, W) or series (N, C, L): set kind to 'images' or 'series' "
            "(--set data.kind=images)"
        )
    if len(shape) == 3 and shape[-1] <= 4:
        raise InvalidValue(
            f"{where} holds {of}, one picture (H, W, C), or {shape[0]} grey ones that are {shape[-1]} wide: give one "
            "picture an axis in front, or set kind to 'images' or 'series' (--set data.kind=images)"
        )
    return "images"


def _channels(shape: tuple[int, ...], channels: Channels | None, where: str) -> Channels:
    fits: dict[Channels, bool] = {"first": shape[1] in (1, 3), "last": shape[3] in (1, 3)}
    wanted: list[Channels] = [name for name, fit in fits.items() if fit and channels in (None, name)]
    if len(wanted) == 1:
        return wanted[0]
    if wanted:
        raise InvalidValue(f"{where} has shape {shape}: set channels to 'first' or 'last' (--set data.channels=last)")
    alpha = any(shape[axis] in (2, 4) for axis in (1, 3))
    hint = "; lay transparent ones over a background first" if alpha else " (--set data.channels=last)"
    raise InvalidValue(f"{where} has shape {shape}: expected one or three channels{hint}")
