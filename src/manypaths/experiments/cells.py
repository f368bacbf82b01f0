"""Cells: the units of work of a study, pure functions of plain settings, addressed by their content."""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from manypaths import fields, user_code
from manypaths.errors import InvalidType, InvalidValue
from manypaths.files import write_atomically
from manypaths.former_names import former

CellFunction = Callable[[Mapping[str, Any], Path], Mapping[str, Any]]
"""``(settings, directory) -> columns``; the directory is the cell's own, for checkpoints and the like."""

F = TypeVar("F", bound=Callable[..., Any])
RESULT = "result.parquet"


def versioned(version: int, *, name: str | None = None) -> Callable[[F], F]:
    """Declare the version of a cell function; raise it when its results change, by a constant too: cells run anew.

    ``name`` is what the addresses of its cells are made from, by default where the function stands
    (``package.module:name``). Give it the old place when the function moves: finished cells stay valid.
    """

    def declare(function: F) -> F:
        function.version = version  # type: ignore[attr-defined]
        function.address = name or f"{function.__module__}:{function.__qualname__}"  # type: ignore[attr-defined]
        return function

    return declare


@dataclass(frozen=True)
class Cell:
    """One call of a cell function with plain settings.

    Attributes:
        function: ``"package.module:name"`` of a function declared with ``versioned``.
        settings: JSON-ready arguments, the seed among them; they alone decide the result.
        labels: the columns that stand beside the result in the study's table; the settings by default.
        evaluations, seconds: declared cost, in per-sample gradient evaluations and in seconds on one core.
    """

    function: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] | None = None
    evaluations: fields.NonNegative = 0.0
    seconds: fields.NonNegative = 0.0

    def __post_init__(self) -> None:
        fields.check(self)
        try:
            settings = json.loads(json.dumps(dict(self.settings), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise InvalidValue(f"settings of {self.function} are not plain data: {error}") from error
        object.__setattr__(self, "settings", settings)

    @cached_property
    def key(self) -> str:
        """The cell's address: a hash of the function's declared name, its version, and the settings."""
        function: Any = resolve(self.function)
        identity = [function.address, function.version, former(self.settings)]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]

    @property
    def name(self) -> str:
        """The function's name without its module."""
        return self.function.partition(":")[2]

    @property
    def columns(self) -> dict[str, Any]:
        """The labels as single values; nested ones as JSON."""
        labels = self.settings if self.labels is None else self.labels
        return {name: json.dumps(v) if isinstance(v, (list, dict)) else v for name, v in labels.items()}

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.columns.items())])


def resolve(function: str) -> CellFunction:
    """The cell function of that name."""
    target = user_code.load(function, "cell function", expected="package.module:name")
    if not isinstance(getattr(target, "version", None), int):
        raise InvalidType(f"{function} declares no version: expected a function under @versioned(1)")
    return target


@dataclass(frozen=True)
class Task:
    """A cell and the directory in which it works."""

    cell: Cell
    directory: Path


@dataclass(frozen=True)
class Outcome:
    """How a task ended: ``error`` is one line, or ``None`` where the result was written."""

    task: Task
    seconds: float
    error: str | None = None
    details: str = ""


def perform(task: Task, *, threads: int = 1) -> Outcome:
    """Call the cell's function and write its result, whole or not at all; an exception is an outcome.

    Torch's thread count is fixed and its global generator is seeded from the cell's key, so that a result does not
    depend on the process in which it was made.
    """
    import torch

    from manypaths.experiments.tables import Table

    cell, began, threads_here = task.cell, time.perf_counter(), torch.get_num_threads()
    try:
        about = {"function": cell.function, "settings": cell.settings}
        write_atomically(task.directory / "cell.json", json.dumps(about, indent=2) + "\n")
        torch.set_num_threads(threads)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(cell.key, 16) & ((1 << 62) - 1))
            table = Table(resolve(cell.function)(cell.settings, task.directory))
        seconds = time.perf_counter() - began
        table.write(task.directory / RESULT, {**about, "cell": cell.key, "seconds": round(seconds, 3)})
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        return Outcome(task, time.perf_counter() - began, line, traceback.format_exc())
    finally:
        torch.set_num_threads(threads_here)
    return Outcome(task, seconds)
