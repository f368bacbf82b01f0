"""Who else wants to see the rows of ``metrics.jsonl`` as they come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """Something that is shown each row."""

    def show(self, row: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


def scalars(row: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a row by their path: ``("loss/critic", 1.38)``."""
    for key, value in row.items():
        if isinstance(value, dict):
            yield from scalars(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{prefix}{key}", float(value)


class TensorBoard:
    """Events for TensorBoard, when it is installed."""

    def __init__(self, folder: Path, step: int):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=step)

    def show(self, row: dict[str, Any]) -> None:
        for name, value in scalars(row):
            if name != "step":
                self._writer.add_scalar(name, value, row["step"])

    def close(self) -> None:
        self._writer.close()


def tensorboard(folder: Path, step: int) -> list[Tracker]:
    """A TensorBoard tracker, or none where the package is missing."""
    try:
        return [TensorBoard(folder, step)]
    except ImportError:
        return []
