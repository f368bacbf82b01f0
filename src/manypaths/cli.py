"""The command line: train games, and look at what happened."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manypaths.errors import InputError, InvalidValue

if TYPE_CHECKING:
    from manypaths.run.loop import Run

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


def _recipe_names(incomplete: str) -> list[str]:
    from manypaths.recipes import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]


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
    data_dir: Annotated[Path | None, typer.Option(help="Where data sets live (default: $MANYPATHS_DATA).")] = None,
    audit: Annotated[bool, typer.Option("--audit", help="Check the game for known mistakes and stop.")] = False,
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

    if data_dir is not None:
        os.environ["MANYPATHS_DATA"] = str(data_dir)
    changes = _settings(settings or [])
    from manypaths.run.loop import Run
    from manypaths.run.memory import keep_freed_memory
    from manypaths.run.progress import Terminal

    chosen, home = _find_recipe(recipe)
    chosen = chosen.with_(changes)
    if show:
        typer.echo(json.dumps(chosen.to_plain(), indent=2))
        return
    if audit:
        from manypaths.testing.audit import audit as examine

        training = chosen.build()
        typer.echo(str(examine(training.game, training.oracle.source)))
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
    data_dir: Annotated[Path | None, typer.Option(help="Where data sets live (default: $MANYPATHS_DATA).")] = None,
) -> None:
    """Run a study: its cells (settings x seeds), then the verdicts on its claims, a table and figures.

    The claims and their rules are fixed before the first cell runs; `--dry-run` says what they can decide. Repeat the
    command to go on after Ctrl-C or a failure: finished cells are never run again.
    """
    if data_dir is not None:
        os.environ["MANYPATHS_DATA"] = str(data_dir)
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


def _metric_names(incomplete: str) -> list[str]:
    from manypaths.registry import registries

    return [name for name in registries()["metric"] if name.startswith(incomplete)]


@app.command()
def evaluate(
    directory: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What to measure instead of the recipe's metrics, by name (`manypaths list metric`); repeatable.",
            autocompletion=_metric_names,
        ),
    ] = None,
    samples: Annotated[int, typer.Option(help="Generated samples.")] = 5000,
    net: Annotated[str | None, typer.Option(help="Feature net; the data set's own CNN by default.")] = None,
    average: Annotated[str | None, typer.Option(help="Only this: `last` or an average's name.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where data sets live (default: $MANYPATHS_DATA).")] = None,
) -> None:
    """Score a run, its last iterate and each average, with the recipe's metrics or with those named.

    By default these are Inception Score, Frechet distance and label histogram. Writes `evaluation.json`, the generated
    samples as `samples-*.npz` and `samples-*.png`, and the generators as safetensors (`manypaths.load`). The feature
    net is trained on the data set once and cached.
    """
    from rich.console import Console
    from rich.table import Table

    if data_dir is not None:
        os.environ["MANYPATHS_DATA"] = str(data_dir)
    from manypaths.run.loop import Run
    from manypaths.run.recipe import Recipe
    from manypaths.run.scoring import Scorer
    from manypaths.run.scoring import evaluate as evaluate_run

    if not (directory / "recipe.json").exists():
        raise InvalidValue(f"{directory} holds no run: expected a directory with a recipe.json")
    recipe = Recipe.read(directory / "recipe.json")
    if metric:
        recipe = recipe.with_({"metrics": ",".join(metric)})
    scorer = Scorer(recipe, net=net, samples=samples)
    work = Run.opened(directory)
    rows = evaluate_run(work.directory, work.training, scorer, average)
    work.export()
    table = Table("generator", "metric", "value", title=f"{directory}, step {work.training.steps}")
    for row in rows:
        spread = f" ± {row['deviation']:.3f}" if row["deviation"] is not None else ""
        table.add_row(row["generator"], row["metric"], f"{row['value']:.4f}{spread}")
    Console().print(table)
    nets = "; ".join(dict.fromkeys(row["net"] for row in rows if row["net"])) or "none"
    typer.echo(f"{samples} samples; net: {nets}; reference: {scorer.about}")


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run directories.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
) -> None:
    """Write one self-contained HTML page about one or several runs: curves, gradient noise, samples, commands."""
    from manypaths.report.page import write_report

    write_report(runs, out)
    typer.echo(str(out.resolve()))


def _settings(texts: list[str]) -> dict[str, str]:
    changes = {}
    for text in texts:
        path, sign, value = text.partition("=")
        if not sign or not path:
            raise InvalidValue(f"--set {text!r}: expected PATH=VALUE, for example oracle.batch=32")
        changes[path.strip()] = value.strip()
    return changes


def _find_recipe(text: str):
    """A recipe by name, from a JSON file, or from a run directory; and that directory."""
    from manypaths.recipes import RECIPES
    from manypaths.run.recipe import Recipe

    path = Path(text)
    if path.is_dir():
        if not (path / "recipe.json").exists():
            raise InvalidValue(
                f"{path} is a directory without a recipe.json: expected a run directory or a recipe's name"
            )
        return Recipe.read(path / "recipe.json"), path
    if path.suffix == ".json":
        if not path.exists():
            raise InvalidValue(f"{path} does not exist")
        return Recipe.read(path), None
    return RECIPES[text](), None


def main() -> None:
    """The entry point: what the user got wrong is one line and exit status 2."""
    sys.path.insert(0, "")  # so that a recipe can name a class of the user's own: package.module:Class
    warnings.showwarning = lambda message, *_: typer.echo(f"warning: {message}", err=True)
    try:
        app()
    except (InputError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
