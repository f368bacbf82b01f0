"""Checkpoints: plain data that load without running code, whole or absent, the last two of them, checked when read."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from manypaths.errors import InvalidValue
from manypaths.files import atomic_file, damage_of_archive

FORMAT = 1


def previous(path: Path) -> Path:
    """Where the checkpoint before the last one is kept."""
    return path.with_name(f"{path.stem}-previous{path.suffix}")


def exists(path: Path) -> bool:
    """Whether there is a checkpoint, damaged or not."""
    return path.exists() or previous(path).exists()


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain containers; a crash at any moment leaves the last checkpoint or the one before it."""
    with atomic_file(path, keep=previous(path)) as file:
        torch.save({"format": FORMAT, **state}, file)


def set_aside(path: Path) -> None:
    """Move a damaged last checkpoint out of the way: the next ``save`` would put it in the place of the one before."""
    if path.exists():
        path.replace(path.with_name(f"{path.stem}-damaged{path.suffix}"))


def load(path: Path) -> dict[str, Any]:
    """Read the last checkpoint, or, where it is damaged or missing, the one before it, and say so (``load_last``)."""
    return load_last(path)[0]


def load_last(path: Path) -> tuple[dict[str, Any], bool]:
    """The last checkpoint, or the one before it; and whether it is the last one.

    Nothing in it is executed (``weights_only=True``), and the checksum of every record of the archive is compared.
    """
    before = previous(path)
    try:
        return _read(path), True
    except (InvalidValue, FileNotFoundError) as error:
        if not before.exists():
            raise
        state = _read(before)
        reason = f"{path} is missing" if isinstance(error, FileNotFoundError) else str(error)
        warnings.warn(f"{reason}: the checkpoint before it, {before.name}, is used", stacklevel=3)
        return state, False


def _read(path: Path) -> dict[str, Any]:
    if damage := damage_of_archive(path):
        raise InvalidValue(f"{path} is not a readable checkpoint ({damage})")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidValue(f"{path} is not a readable checkpoint ({reason})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        there = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise InvalidValue(f"{path} has format {there}: this version reads format {FORMAT}")
    return state
