"""The command line: train games, and look at what happened. One module per command."""

from __future__ import annotations

import warnings

import typer

from manypaths.cli import evaluate, list_, report, run, study
from manypaths.cli.app import app
from manypaths.errors import InputError
from manypaths.user_code import current_folder_last

__all__ = ["app", "evaluate", "list_", "main", "report", "run", "study"]


def main() -> None:
    """The entry point: what the user got wrong is one line and exit status 2."""
    current_folder_last()
    warnings.showwarning = lambda message, *_: typer.echo(f"warning: {message}", err=True)
    try:
        app()
    except (InputError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
