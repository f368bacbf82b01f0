"""What a study would do, and how one stands, without running anything."""

from __future__ import annotations

from collections import Counter

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from manypaths.experiments.base import Plan
from manypaths.experiments.outputs import claim_text
from manypaths.experiments.power import power
from manypaths.experiments.store import Store


def show_plan(plan: Plan, store: Store, console: Console, *, jobs: int) -> None:
    """``--dry-run``: cells and their declared cost, and what each claim can decide."""
    console.print(f"{plan.study.name} at scale {plan.scale}: {plan.study.question}")
    grid = Grid("cells", "number", "finished", "gradient evaluations", "seconds", box=SIMPLE_HEAD)
    for function in dict.fromkeys(cell.function for cell in plan.distinct):
        cells = [cell for cell in plan.distinct if cell.function == function]
        finished = sum(store.state(cell) == "finished" for cell in cells)
        evaluations, seconds = sum(cell.evaluations for cell in cells), sum(cell.seconds for cell in cells)
        grid.add_row(cells[0].name, str(len(cells)), str(finished), f"{evaluations:,.0f}", f"{seconds:,.0f}")
    console.print(grid)
    todo = [cell for cell in plan.distinct if store.state(cell) != "finished"]
    evaluations, seconds = sum(cell.evaluations for cell in todo), sum(cell.seconds for cell in todo)
    least = max([seconds / jobs, *(cell.seconds for cell in todo)])
    console.print(
        f"to do: {len(todo)} cells, {evaluations:,.0f} per-sample gradients, about {least:,.0f} s with --jobs {jobs}"
    )
    claims = Grid("claim", "what it can decide", box=SIMPLE_HEAD, padding=(0, 1, 1, 1))
    for claim in plan.claims:
        claims.add_row(claim_text(claim), f"expected {claim.expected}; {claim.statistic}\n{power(claim)}")
    console.print(claims)


def show_status(plan: Plan, store: Store, console: Console) -> None:
    """``--status``: finished, failed and missing cells, and why the failed ones failed."""
    states = {cell.key: store.state(cell) for cell in plan.distinct}
    count = Counter(states.values())
    console.print(
        f"{plan.study.name} at scale {plan.scale} in {store.path}: {count['finished']} finished, "
        f"{count['failed']} failed, {count['missing']} missing"
    )
    failed, missing = ([c for c in plan.distinct if states[c.key] == state] for state in ("failed", "missing"))
    for cell in failed:
        console.print(f"  failed: {cell}: {store.failure(cell)} ({store.directory(cell)})", markup=False)
    for cell in missing[:_SHOWN]:
        console.print(f"  missing: {cell}", markup=False)
    if len(missing) > _SHOWN:
        console.print(f"  missing: {len(missing) - _SHOWN} more")


_SHOWN = 20
