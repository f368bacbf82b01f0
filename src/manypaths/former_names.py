"""Names of before: what each is called now, for one line in an error and for addresses that must not move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETTINGS = {
    "bases": "optimizers",
    "lanes": "concurrent",
    "summands": "components",
    "refresh": "schedule",
    "keep_half": "keep_extrapolated",
}
"""Settings of recipes, rules and oracles: then -> now."""
ENTRIES = {"interpolated": "gradient-penalty", "clip": "weight-clipping", "full": "full-batch"}
"""Names in the tables that ``manypaths list`` prints: then -> now."""
CLASSES = {
    "Bases": "Optimizers",
    "Part": "Spec",
    "Full": "FullBatch",
    "Uniform": "UniformAverage",
    "Clip": "WeightClipping",
    "Interpolated": "GradientPenalty",
}
"""Classes of the public package: then -> now."""
SNAPSHOT_COINS = "cadence"
"""What the random numbers of snapshot schedules are named after: another name would draw others from the same seed."""

_KEYS = {now: then for then, now in SETTINGS.items()}
_VALUES = {now: then for then, now in ENTRIES.items()} | {"extrapolated": "half"}


def current(name: str, known: object) -> str | None:
    """What a name of before is called now, where that is ``known``; dotted paths by their parts."""
    renamed = {**SETTINGS, **ENTRIES, **CLASSES}
    now = ".".join(renamed.get(part, part) for part in name.split("."))
    return now if now != name and now.partition(".")[0] in known else None  # type: ignore[operator]


def former(plain: Any) -> Any:
    """Plain settings in the words of before, for addresses that were made from them."""
    if isinstance(plain, Mapping):
        return {_KEYS.get(key, key): _former_value(key, value) for key, value in plain.items()}
    return [former(item) for item in plain] if isinstance(plain, list) else plain


def _former_value(key: str, value: Any) -> Any:
    return _VALUES.get(value, value) if key in ("name", "of") and isinstance(value, str) else former(value)
