"""The directory of a study: what is in it, and whose it is."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from manypaths.errors import InvalidValue
from manypaths.experiments.cells import RESULT, Cell, Outcome, resolve
from manypaths.experiments.tables import Table, read_about
from manypaths.files import read_json, remove_leftovers, write_atomically
from manypaths.former_names import former

State = Literal["finished", "failed", "missing"]


class Store:
    """``study.json``, ``cells/<key>/``, and what is computed from them: ``table.parquet``, ``verdicts.json``, figures.

    A cell's directory holds ``cell.json`` (what was asked), ``result.parquet`` (the answer, whole or absent) or
    ``failed.json`` (why there is none), ``output.txt`` (what it printed) and whatever the cell's function keeps there.
    """

    def __init__(self, path: Path):
        self.path = path
        self.study, self.cells = path / "study.json", path / "cells"
        self.table, self.verdicts, self.figures = path / "table.parquet", path / "verdicts.json", path / "figures"

    def check(self, name: str, scale: str) -> bool:
        """Whether this study, at this scale, lives here; ``False`` where nothing does, an error where others do."""
        if not self.study.exists():
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise InvalidValue(f"{self.path} exists and is not the directory of a study: choose another --out")
            return False
        about = self.about()
        if (there := (about["study"], about["scale"])) != (name, scale):
            raise InvalidValue(
                f"{self.path} holds the study {there[0]} at scale {there[1]}: expected {name} at {scale}, "
                "or choose another --out"
            )
        return True

    def create(self, about: Mapping[str, Any]) -> None:
        write_atomically(self.study, json.dumps(dict(about), indent=2) + "\n")

    def about(self) -> dict[str, Any]:
        found = read_json(self.study)
        if not isinstance(found, dict) or not {"study", "scale"} <= found.keys():
            raise InvalidValue(f"{self.study} does not say which study it is of: expected 'study' and 'scale' in it")
        return found

    def directory(self, cell: Cell) -> Path:
        return self.cells / cell.key

    def state(self, cell: Cell) -> State:
        directory = self.directory(cell)
        if (directory / RESULT).exists():
            return "finished"
        return "failed" if (directory / _FAILED).exists() else "missing"

    def result(self, cell: Cell) -> Table:
        """A finished cell's columns; a damaged file, or another cell's, is one line that says what to do."""
        path = self.directory(cell) / RESULT
        try:
            about, table = read_about(path), Table.read(path)
        except InvalidValue as error:
            raise InvalidValue(f"{error}: delete it, and the cell is run again; the others are kept") from error
        if not _is_of(about, cell):
            raise InvalidValue(
                f"{path} is the result of another cell: delete it, and the cell is run again; the others are kept"
            )
        return table

    def failure(self, cell: Cell) -> str:
        """Why a failed cell failed, in one line."""
        try:
            return str(read_json(self.directory(cell) / _FAILED)["error"])
        except (InvalidValue, KeyError, TypeError):
            return f"{self.directory(cell) / _FAILED} is damaged"

    def note(self, outcome: Outcome) -> None:
        """Record a failure, or forget an earlier one."""
        directory = outcome.task.directory
        remove_leftovers(directory)
        if outcome.error is None:
            (directory / _FAILED).unlink(missing_ok=True)
        else:
            record = {"error": outcome.error, "seconds": round(outcome.seconds, 3), "details": outcome.details}
            write_atomically(directory / _FAILED, json.dumps(record, indent=2) + "\n")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One engine at a time; the lock ends with the process that holds it."""
        try:
            import fcntl
        except ImportError:  # not a POSIX system: two engines repeat each other's work, and harm nothing
            yield
            return
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidValue(f"another process is at work in {self.path}: wait for it or stop it") from None
            yield


_FAILED = "failed.json"


def _is_of(about: Mapping[str, Any], cell: Cell) -> bool:
    """Whether what is kept beside a result says that it is this cell's; older files say it without the address."""
    if "cell" in about:
        return about["cell"] == cell.key
    if former(about.get("settings", cell.settings)) != former(cell.settings):
        return False
    names = {cell.name, getattr(resolve(cell.function), "address", "").partition(":")[2]}
    return str(about.get("function", cell.function)).partition(":")[2] in names  # a function may have moved
