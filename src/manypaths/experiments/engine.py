"""The engine: run what is missing, note what failed, compute the outputs when nothing is left to do."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console

import manypaths
from manypaths.errors import InvalidType
from manypaths.experiments.base import Plan
from manypaths.experiments.cells import Task
from manypaths.experiments.claims import Verdict
from manypaths.experiments.executor import Executor
from manypaths.experiments.outputs import write_outputs
from manypaths.experiments.progress import CellsBar
from manypaths.experiments.records import claim_record
from manypaths.experiments.store import Store


@dataclass(frozen=True)
class Results:
    """How a call of the engine ended, and the verdicts where it came to them."""

    state: Literal["finished", "failed", "interrupted"]
    finished: int
    total: int
    verdicts: list[Verdict] = field(default_factory=list)


def run_study(plan: Plan, out: Path, *, executor: Executor, console: Console | None = None) -> Results:
    """Run the study in a directory, going on where an earlier call stopped.

    A finished cell is never repeated, a failed one is tried again, and one that fails does not keep the others from
    running. The claims are written down before the first cell runs. Ctrl-C returns ``"interrupted"``.
    """
    require_extra()
    store = Store(out)
    if not store.check(plan.study.name, plan.scale):
        claims = [claim_record(claim) for claim in plan.claims]
        about = {"study": plan.study.name, "scale": plan.scale, "manypaths": manypaths.__version__, "claims": claims}
        store.create(about)
    with store.locked():
        interrupted = _compute(plan, store, executor, console or Console(stderr=True))
        states = [store.state(cell) for cell in plan.distinct]
        finished, total = states.count("finished"), len(states)
        if interrupted:
            return Results("interrupted", finished, total)
        verdicts = write_outputs(plan, store)
    return Results("finished" if finished == total else "failed", finished, total, verdicts)


def _compute(plan: Plan, store: Store, executor: Executor, console: Console) -> bool:
    """Run the cells that have no result, the longest first; whether Ctrl-C ended it."""
    todo = [cell for cell in plan.distinct if store.state(cell) != "finished"]
    todo.sort(key=lambda cell: -cell.seconds)
    if todo:
        plan.study.ready(plan.scale)
    bar = CellsBar(len(plan.distinct), len(plan.distinct) - len(todo), console)
    try:
        with executor:
            for cell in todo:
                executor.submit(Task(cell, store.directory(cell)))
            for outcome in executor:
                store.note(outcome)
                bar.show(outcome)
    except KeyboardInterrupt:
        return True
    finally:
        bar.close()
    return False


def require_extra() -> None:
    """What studies need beyond the library is installed; said before any work starts."""
    needed = ("scipy", "pyarrow", "matplotlib")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise InvalidType(f"a study needs {', '.join(missing)}: pip install 'manypaths[study]'")
