"""What a study leaves behind, all of it computed from its cells: the table, the verdicts, the figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from manypaths.experiments.base import Plan
from manypaths.experiments.claims import Claim, Estimate, Verdict, undecided
from manypaths.experiments.figures import house_style, png
from manypaths.experiments.markdown import table
from manypaths.experiments.power import power
from manypaths.experiments.records import claim_record, verdict_record
from manypaths.experiments.store import Store
from manypaths.experiments.tables import Table
from manypaths.files import write_atomically

_COLOURS = {"holds": "green", "does not hold": "red", "undecided": "yellow"}
SMOKE = "Scale smoke shows that every cell runs: take verdicts from a larger scale."


def collect(plan: Plan, store: Store) -> Table:
    """The results of all finished cells, one below the other; which cell a row is from, and its labels, are columns."""
    finished = [cell for cell in plan.cells if store.state(cell) == "finished"]
    labels = lambda cell: {"cell": cell.key, "function": cell.name, **cell.columns}  # noqa: E731
    return Table.concatenate(store.result(cell).with_columns(labels(cell)) for cell in finished)


def judge(plan: Plan, store: Store, table: Table) -> list[Verdict]:
    """A verdict per claim; a table that lacks cells decides none, since a missing cell may be missing for a reason."""
    if lacking := sum(store.state(cell) != "finished" for cell in plan.cells):
        return [undecided(claim, f"{lacking} of {len(plan.cells)} cells have no result") for claim in plan.claims]
    before = {entry["prediction"]: entry for entry in store.about()["claims"]}
    verdicts = []
    for claim in plan.claims:
        verdict = claim.judge(table)
        known, now = before.get(claim.name, {}), claim_record(claim)
        same = bool(known) and _keeps(now, known)
        notes = (verdict.note, "" if same else "the claim was changed after the first cell ran")
        verdicts.append(Verdict(claim, verdict.estimate, verdict.ruling, "; ".join(filter(None, notes))))
    return verdicts


def write_outputs(plan: Plan, store: Store) -> list[Verdict]:
    """Write the table, the verdicts, and of a complete study figures and pages; each file whole or absent."""
    table = collect(plan, store)
    table.write(store.table, {"study": plan.study.name, "scale": plan.scale})
    verdicts = judge(plan, store, table)
    page = {
        "study": plan.study.name,
        "scale": plan.scale,
        "verdicts": [verdict_record(verdict) for verdict in verdicts],
    }
    write_atomically(store.verdicts, json.dumps(page, indent=2, allow_nan=False) + "\n")
    write_atomically(store.verdicts.with_suffix(".md"), markdown(verdicts, plan.scale))
    if all(store.state(cell) == "finished" for cell in plan.cells):
        with house_style():
            for name, draw in plan.study.figures.items():
                write_atomically(store.figures / f"{name}.png", png(draw(table)))
        for name, write in plan.study.pages.items():
            write_atomically(store.path / f"{name}.md", write(table))
    return verdicts


def _keeps(now: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether all that was written down is still so; more may be said about a claim now."""
    return all(
        key in now and (_keeps(now[key], value) if isinstance(value, Mapping) else now[key] == value)
        for key, value in known.items()
    )


def markdown(verdicts: Sequence[Verdict], scale: str) -> str:
    """The same table for a document."""
    rows = []
    for verdict in verdicts:
        claim, note = verdict.claim, f" ({verdict.note})" if verdict.note else ""
        cells = [f"**{claim.name}** {claim.statement}", _text(verdict.estimate), str(claim.expected)]
        cells += [power(claim).reach, f"{verdict.ruling}{note}"]
        rows.append(cells)
    remark = f"{SMOKE}\n\n" if scale == "smoke" else ""
    return remark + table(["claim", "statistic", "expected", "decided from", "verdict"], rows)


def show_verdicts(verdicts: Sequence[Verdict], scale: str, console: Console) -> None:
    """The table that ends a study."""
    grid = Grid("claim", "statistic", "verdict", box=SIMPLE_HEAD, padding=(0, 1, 1, 1))
    for verdict in verdicts:
        statistic = Text(f"{_text(verdict.estimate)}\nexpected {verdict.claim.expected}\n{power(verdict.claim)}")
        ruling = Text(verdict.ruling, _COLOURS[verdict.ruling]).append(f"\n{verdict.note}" if verdict.note else "", "")
        grid.add_row(claim_text(verdict.claim), statistic, ruling)
    console.print(grid)
    if scale == "smoke":
        console.print(SMOKE)


def claim_text(claim: Claim) -> Text:
    """Name and statement of a claim, one above the other."""
    return Text(claim.name, "bold").append(f"\n{claim.statement}", "not bold")


def _text(estimate: Estimate) -> str:
    value = f"{estimate.value:.4g}"
    return value if estimate.low == estimate.high else f"{value} [{estimate.low:.4g}, {estimate.high:.4g}]"
