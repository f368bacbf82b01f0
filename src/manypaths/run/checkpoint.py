"""Checkpoints: plain data that load without running code, whole or absent."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from manypaths.errors import InvalidValue
from manypaths.files import atomic_file

FORMAT = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain containers; a crash leaves the previous checkpoint."""
    with atomic_file(path) as file:
        torch.save({"format": FORMAT, **state}, file)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint with ``weights_only=True``: nothing in it is executed."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InvalidValue(f"{path} is not a readable checkpoint ({str(error).splitlines()[0]})") from error
    if state.get("format") != FORMAT:
        raise InvalidValue(f"{path} has format {state.get('format')}: this version reads format {FORMAT}")
    return state
