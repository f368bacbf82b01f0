"""manypaths list: recipes, and the parts that they are made of."""

from __future__ import annotations

from typing import Annotated

import typer

from manypaths.cli.app import app


@app.command("list")
def list_(
    kind: Annotated[str | None, typer.Argument(help="Only this kind: recipe, rule, oracle, penalty, ...")] = None,
) -> None:
    """List every recipe and every part that recipes are made of, by the names that `run` and `--set` understand."""
    from rich.console import Console

    from manypaths.errors import unknown_name
    from manypaths.registry import registries

    tables = registries()
    if kind is not None and kind.rstrip("s") not in tables and kind not in tables:
        raise unknown_name("kind", kind, tables)
    console = Console(highlight=False)
    for name, table in tables.items():
        if kind in (None, name) or (kind or "").rstrip("s") == name:
            console.print(f"[bold]{name}[/bold]")
            width = max(map(len, table)) + 2
            for entry in table:
                console.print(f"  {entry:<{width}}{table.summary(entry)}", soft_wrap=True, markup=False)
