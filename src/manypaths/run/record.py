"""The run directory: what is written, and where."""

from __future__ import annotations

import json
import os
import re
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from manypaths.errors import InvalidValue
from manypaths.files import remove_leftovers, write_atomically

State = Literal["running", "interrupted", "finished", "diverged", "failed"]


@dataclass(frozen=True)
class Status:
    """How a run stands; divergence is a status, not an exception."""

    state: State
    step: int
    message: str = ""


class RunDirectory:
    """``recipe.json``, ``metrics.jsonl`` (append-only, the truth), ``samples/``, ``checkpoint.pt``, ``status.json``.

    Links are refused where something would be written, deleted or shown through them: a directory of somebody else's
    may point anywhere. With ``writes=False`` nothing is written: for the processes of a run that only compute.
    """

    def __init__(self, path: Path, *, writes: bool = True):
        self.path, self.writes = path, writes
        self.recipe, self.metrics = path / "recipe.json", path / "metrics.jsonl"
        self.samples, self.checkpoint, self.status = path / "samples", path / "checkpoint.pt", path / "status.json"
        self.command, self.events = path / "command.txt", path / "tensorboard"

    def exists(self) -> bool:
        return self.recipe.exists()

    def create(self, recipe: dict[str, Any], command: str) -> None:
        """Start a new directory; refuses one that already holds a run."""
        if not self.writes:
            return
        self.refuse_taken()
        self.samples.mkdir(parents=True)
        write_atomically(self.command, command + "\n")
        self.write_recipe(recipe)

    def refuse_taken(self) -> None:
        """Say that a directory holds something already."""
        if self.exists():
            raise InvalidValue(f"{self.path} already holds a run: add --resume to go on, or choose another --out")
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise InvalidValue(f"{self.path} exists and is not a run directory: choose another --out")

    def write_recipe(self, recipe: dict[str, Any]) -> None:
        if self.writes:
            write_atomically(self.recipe, json.dumps(recipe, indent=2) + "\n")

    def append(self, row: dict[str, Any]) -> None:
        """One row of ``metrics.jsonl``."""
        if not self.writes:
            return
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """All complete rows; a last line that a crash cut short is left out, and any other broken line is an error."""
        self.refuse_links()
        lines = self.metrics.read_bytes().splitlines() if self.metrics.exists() else []
        rows = []
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                if not isinstance(row, dict) or not isinstance(row.get("step"), (int, float)):
                    raise ValueError("expected an object with a step")
            except (ValueError, RecursionError) as error:
                if number == len(lines):
                    break
                reason = str(error).partition(":")[0]
                raise InvalidValue(
                    f"{self.metrics}, line {number} of {len(lines)} is no row of metrics ({reason}): mend or remove "
                    "that line; nothing was changed"
                ) from error
            rows.append(row)
        return rows

    def refuse_links(self) -> None:
        """Refuse a directory of which parts lie elsewhere."""
        pictures = self.samples.glob("*.png") if self.samples.is_dir() else ()
        for part in (self.samples, self.metrics, self.events, self.recipe, self.status, self.command, *pictures):
            if part.is_symlink():
                raise InvalidValue(
                    f"{part} is a link to {os.readlink(part)!r}: expected it in the run directory itself"
                )

    def rewind(self, step: int) -> None:
        """Drop what was written after ``step``, the step of the checkpoint that a resumed run goes on from."""
        if not self.writes:
            return
        rows = self.rows()
        for folder in (self.path, self.samples):
            remove_leftovers(folder)
        if self.metrics.exists() and (last := len(self.metrics.read_bytes().splitlines())) > len(rows):
            warnings.warn(f"{self.metrics}: the last line, {last}, was cut short and is taken out", stacklevel=5)
        kept = [json.dumps(row) + "\n" for row in rows if row["step"] <= step]
        write_atomically(self.metrics, "".join(kept))
        for image in self.samples.glob("*.png"):
            taken = re.fullmatch(r".+-(\d+)", image.stem)
            if taken and int(taken[1]) > step:
                image.unlink()

    def write_status(self, status: Status) -> None:
        if self.writes:
            write_atomically(self.status, json.dumps(asdict(status)) + "\n")
