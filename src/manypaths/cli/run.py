"""manypaths run: train a recipe."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manypaths.cli.app import DataDir, TrustCode, app, look_for_data_in
from manypaths.errors import InvalidValue, Untrusted
from manypaths.files import read_json

if TYPE_CHECKING:
    from manypaths.run.loop import Run
    from manypaths.run.recipe import Recipe


def _recipe_names(incomplete: str) -> list[str]:
    from manypaths.recipes import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]


@app.command()
def run(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe's name, a recipe as a JSON file, or a run directory.",
            autocompletion=_recipe_names,
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="Change one setting, e.g. `--set oracle.batch=32`; repeatable."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run directory; `runs/RECIPE` by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the directory.")] = False,
    data_dir: DataDir = None,
    audit: Annotated[bool, typer.Option("--audit", help="Check the game for known mistakes and stop.")] = False,
    trust_code: TrustCode = False,
    show: Annotated[bool, typer.Option("--show", help="Print the resolved recipe and stop.")] = False,
) -> None:
    """Train a recipe.

    Everything is checked before anything is built. The directory gets the resolved recipe, `metrics.jsonl`, sample
    grids and checkpoints; Ctrl-C saves and says how to go on, and a resumed run equals the uninterrupted one bit for
    bit.

    Settings are paths into the recipe that `--show` prints: `--set optimizers.generator.lr=1e-3`,
    `--set game.objective=minimax`, `--set game.penalties=r1,dragan`, `--set rule.moments=rewind`. How it is computed
    is a setting too: `--set device=cuda` (what it chooses for you is printed), `--set execution.precision=bfloat16`,
    `--set execution.compile=true`.
    """
    import json

    look_for_data_in(data_dir)
    changes = _settings(settings or [])
    from manypaths.run.loop import Run
    from manypaths.run.memory import keep_freed_memory
    from manypaths.run.progress import Terminal

    if show:
        typer.echo(json.dumps(_shown(recipe, changes), indent=2))
        return
    chosen, home = _find_recipe(recipe, trust_code=trust_code)
    chosen = chosen.with_(changes)
    if audit:
        from manypaths.testing.audit import audit as examine

        training = chosen.build()
        typer.echo(str(examine(training.game, training.oracle.source, oracle=training.oracle)))
        return
    path = out or home or Path("runs") / chosen.name
    keep_freed_memory()
    work = Run(chosen, path, resume=resume, command=shlex.join(["manypaths", *sys.argv[1:]]))
    if not work.processes.writes:
        status = work.train()
        raise typer.Exit(_EXITS.get(status.state, 0))
    for note in _notes(work):
        typer.echo(f"note: {note}", err=True)
    bar = Terminal(work.recipe.steps, work.training.steps, budget=work.recipe.evaluations)
    status = work.train([bar])
    typer.echo(f"{status.state} after {status.step} steps{': ' + status.message if status.message else ''}")
    typer.echo(f"run directory: {path}")
    raise typer.Exit(_EXITS.get(status.state, 0))


_EXITS = {"diverged": 3, "interrupted": 130}


def _notes(run: Run) -> list[str]:
    """What a user should know before the first step."""
    training = run.training
    if not training.oracle.takes_snapshots:
        return training.notes
    size = training.oracle.source.size or 0
    return [*training.notes, f"a snapshot is a full pass over {size:,} samples; the first comes before step 1"]


def _settings(texts: list[str]) -> dict[str, str]:
    changes = {}
    for text in texts:
        path, sign, value = text.partition("=")
        if not sign or not path:
            raise InvalidValue(f"--set {text!r}: expected PATH=VALUE, for example oracle.batch=32")
        changes[path.strip()] = value.strip()
    return changes


def _shown(text: str, changes: dict[str, str]) -> Any:
    """The resolved recipe; one that names code which would have to be imported is shown as it is written."""
    try:
        return _find_recipe(text, trust_code=False)[0].with_(changes).to_plain()
    except Untrusted as error:
        if changes:
            raise
        typer.echo(f"note: shown as it is written, for {error}", err=True)
        path = Path(text)
        return read_json(path / "recipe.json" if path.is_dir() else path)


def _find_recipe(text: str, *, trust_code: bool) -> tuple[Recipe, Path | None]:
    """A recipe by name, from a JSON file, or from a run directory; and that directory."""
    from manypaths.recipes import RECIPES
    from manypaths.run.recipe import Recipe

    path = Path(text)
    if path.is_dir():
        if not (path / "recipe.json").exists():
            raise InvalidValue(
                f"{path} is a directory without a recipe.json: expected a run directory or a recipe's name"
            )
        return Recipe.read(path / "recipe.json", trust_code=trust_code), path
    if path.suffix == ".json":
        if not path.exists():
            raise InvalidValue(f"{path} does not exist")
        return Recipe.read(path, trust_code=trust_code), None
    return RECIPES[text](), None
