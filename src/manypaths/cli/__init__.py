"""The command line: train games, and look at what happened. One module per command."""

from __future__ import annotations

import shlex
import sys
import warnings

import typer

from manypaths.cli import evaluate, list_, report, run, study
from manypaths.cli.app import app
from manypaths.errors import InputError, Untrusted
from manypaths.user_code import current_folder_last

__all__ = ["app", "evaluate", "list_", "main", "report", "run", "study"]


def main() -> None:
    """The entry point: what the user got wrong is one line and exit status 2."""
    current_folder_last()
    warnings.showwarning = lambda message, *_: typer.echo(f"warning: {message}", err=True)
    try:
        app()
    except Untrusted as error:
        again = shlex.join(["manypaths", *sys.argv[1:], "--trust-code"])
        typer.echo(f"error: {_one_line(error)}: {again}", err=True)
        raise SystemExit(2) from None
    except (InputError, OSError) as error:
        typer.echo(f"error: {_one_line(error)}", err=True)
        raise SystemExit(2) from None


_LONGEST = 2000


def _one_line(error: Exception) -> str:
    """A message without what would move the cursor or fill the screen: values come from files."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(str(error).splitlines()))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"
