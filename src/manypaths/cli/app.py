"""The command line itself, on which every command registers, and what several of them share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Train GANs, and any differentiable game, **as games**.

At each step a *rule* decides where and how often to ask an *oracle* for the gradients of a *game*, and hands what it
gets to one stock *optimiser* per player; an *average* watches the iterates.

Start with `manypaths list`, then `manypaths run digits-svre`, then `manypaths report runs/digits-svre`.""",
)

DataDir = Annotated[Path | None, typer.Option(help="Where data sets live (default: $MANYPATHS_DATA).")]


TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Import code that the file names, if you trust whoever wrote it.")
]


def look_for_data_in(directory: Path | None) -> None:
    """Data sets are read from here, in this process and in those that it starts."""
    if directory is not None:
        os.environ["MANYPATHS_DATA"] = str(directory)
