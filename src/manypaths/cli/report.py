"""manypaths report: a page about runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from manypaths.cli.app import app


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run directories.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
) -> None:
    """Write one self-contained HTML page about one or several runs: curves, gradient noise, samples, commands."""
    from manypaths.report.page import write_report

    write_report(runs, out)
    typer.echo(str(out.resolve()))
