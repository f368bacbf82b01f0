"""What black and white are in an array of pictures, from its dtype and its values."""

from __future__ import annotations

from manypaths.data.arrays import StoredArray
from manypaths.data.base import BLOCK
from manypaths.errors import InvalidValue
from manypaths.sources.pixels import Range

_BYTES, _UNIT, _SYMMETRIC = (0.0, 255.0), (0.0, 1.0), (-1.0, 1.0)


def range_of(array: StoredArray) -> Range:
    """The one range that the values leave no doubt about; a guess that may be wrong is refused.

    uint8 above 1, and other numbers that go beyond 1 and stay in 0 .. 255, are bytes; bools and floats in [0, 1] are
    shares of white, floats in [-1, 1] symmetric; 16 unsigned bits that hold more than a byte go to 65535.
    """
    if array.dtype == "bool":
        return _UNIT
    least, most = _extremes(array)
    within = least >= 0 and most <= 255
    if "float" in array.dtype:
        if least >= 0 and most <= 1:
            return _UNIT
        if least >= -1 and most <= 1:
            return _SYMMETRIC
        if within:
            return _BYTES
    elif array.dtype == "uint16" and most > 255:
        return 0.0, 65535.0
    elif within and most != 1 and array.dtype != "uint16":
        return _BYTES
    held = "0 and 1 only" if (least, most) == (0, 1) else f"values from {least:g} to {most:g}"
    raise InvalidValue(
        f"{array.where} holds {array.dtype} of shape {array.shape}, {held}: set range to what black and white are "
        "(--set data.range=0,1)"
    )


def _extremes(array: StoredArray) -> tuple[float, float]:
    """The least and the largest value; of bytes no more is read than shows that they go beyond 1."""
    least, most = float("inf"), float("-inf")
    for start in range(0, len(array), BLOCK):
        block = array.read(start, min(start + BLOCK, len(array)))
        if block.is_floating_point() and not block.isfinite().all():
            raise InvalidValue(
                f"{array.where} holds numbers that are not finite, in rows {start} to {start + len(block) - 1}: "
                "expected none; take them out"
            )
        least, most = min(least, float(block.min())), max(most, float(block.max()))
        if array.dtype == "uint8" and most > 1:
            break
    return least, most
