"""manypaths study: run a study, or say what it would take."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from manypaths.cli.app import DataDir, app, look_for_data_in
from manypaths.errors import InvalidValue


def _study_names(incomplete: str) -> list[str]:
    from manypaths.studies import STUDIES

    return [name for name in STUDIES if name.startswith(incomplete)]


@app.command()
def study(
    name: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A study's name, or a function of yours that returns one, as package.module:function.",
            autocompletion=_study_names,
        ),
    ],
    scale: Annotated[str, typer.Option(help="How much of it: smoke, laptop or paper.")] = "smoke",
    out: Annotated[Path | None, typer.Option(help="The study's directory; `runs/STUDY-SCALE` by default.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print cells, cost and power, and stop.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Print what is finished, failed or missing.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Run a study: its cells (settings x seeds), then the verdicts on its claims, a table and figures.

    The claims and their rules are fixed before the first cell runs; `--dry-run` says what they can decide. Repeat the
    command to go on after Ctrl-C or a failure: finished cells are never run again.
    """
    look_for_data_in(data_dir)
    from rich.console import Console

    from manypaths.experiments.engine import require_extra, run_study
    from manypaths.experiments.outputs import show_verdicts

    require_extra()
    from manypaths.experiments.executor import ProcessPool
    from manypaths.experiments.overview import show_plan, show_status
    from manypaths.experiments.store import Store
    from manypaths.studies.find import find_study

    plan = find_study(name).at(scale)
    path = out or Path("runs") / f"{plan.study.name}-{scale}"
    store, console = Store(path), Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if dry_run or status:
        if not store.check(plan.study.name, scale) and status:
            raise InvalidValue(f"{path} holds no study yet: run it first, or choose another --out")
        show_status(plan, store, console) if status else show_plan(plan, store, console, jobs=jobs)
        return
    found = run_study(plan, path, executor=ProcessPool(jobs))
    typer.echo(f"{found.state}: {found.finished} of {found.total} cells; directory: {path}")
    if found.state == "interrupted":
        typer.echo(f"go on with: {shlex.join(['manypaths', *sys.argv[1:]])}")
        raise typer.Exit(130)
    show_verdicts(found.verdicts, plan.scale, console)
    if found.state == "failed":
        typer.echo(f"try the failed cells again with: {shlex.join(['manypaths', *sys.argv[1:]])}")
        raise typer.Exit(1)
