"""Where the data and the label are in an item of a data set, or in a batch of a loader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manypaths.errors import InvalidType, unknown_name

Key = int | str


def entries(item: Any, image: Key | None, label: Key | None, where: str) -> tuple[Any, Any]:
    """The data and the label (or ``None``) of a dict by their keys, of a tuple by their places.

    A tuple's first entry is the data and its second the label, where neither is named; a dict's must be.
    """
    if isinstance(item, Mapping):
        if image is None:
            raise InvalidType(
                f"{where} are dicts with {_described(item)}: name the data's key, and the label's if there is one "
                f"(image={next(iter(item), 'image')!r})"
            )
        return _named(item, image, where), None if label is None else _named(item, label, where)
    if isinstance(item, (tuple, list)):
        if not item:
            raise InvalidType(f"{where} are empty tuples: expected data, or data and a label")
        found = _placed(item, 0 if image is None else image, where)
        if label is None:
            return found, item[1] if image is None and len(item) > 1 else None
        return found, _placed(item, label, where)
    if image is not None or label is not None:
        raise InvalidType(f"{where} are {type(item).__name__}, without entries: expected neither image nor label")
    return item, None


def _named(item: Mapping[Any, Any], key: Key, where: str) -> Any:
    if key not in item:
        raise unknown_name(f"key of {where}:", str(key), [str(name) for name in item])
    return item[key]


def _placed(item: tuple[Any, ...] | list[Any], place: Key, where: str) -> Any:
    if isinstance(place, str) or not -len(item) <= place < len(item):
        raise InvalidType(
            f"{where} have {len(item)} entries and the place is {place!r}: expected a number from 0 to {len(item) - 1}"
        )
    return item[place]


def _described(item: Mapping[Any, Any]) -> str:
    parts = []
    for key, value in list(item.items())[:8]:
        shape = getattr(value, "shape", None)
        parts.append(f"{key!r} ({type(value).__name__})" if shape is None else f"{key!r} {tuple(shape)}")
    return ", ".join(parts) or "no keys"
