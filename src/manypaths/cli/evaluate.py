"""manypaths evaluate: score a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from manypaths.cli.app import DataDir, TrustCode, app, look_for_data_in
from manypaths.errors import InvalidValue


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
    trust_code: TrustCode = False,
    data_dir: DataDir = None,
) -> None:
    """Score a run, its last iterate and each average, with the recipe's metrics or with those named.

    By default these are Inception Score, Frechet distance and label histogram. Writes `evaluation.json`, the generated
    samples as `samples-*.npz` and `samples-*.png`, and the generators as safetensors (`manypaths.load`). The feature
    net is trained on the data set once and cached.
    """
    from rich.console import Console
    from rich.table import Table

    look_for_data_in(data_dir)
    from manypaths.run.loop import Run
    from manypaths.run.recipe import Recipe
    from manypaths.run.scoring import Scorer
    from manypaths.run.scoring import evaluate as evaluate_run

    if not (directory / "recipe.json").exists():
        raise InvalidValue(f"{directory} holds no run: expected a directory with a recipe.json")
    recipe = Recipe.read(directory / "recipe.json", trust_code=trust_code)
    if metric:
        recipe = recipe.with_({"metrics": ",".join(metric)})
    scorer = Scorer(recipe, net=net, samples=samples)
    work = Run.opened(directory, trust_code=trust_code)
    rows = evaluate_run(work.directory, work.training, scorer, average)
    work.export()
    table = Table("generator", "metric", "value", title=f"{directory}, step {work.training.steps}")
    for row in rows:
        spread = f" ± {row['deviation']:.3f}" if row["deviation"] is not None else ""
        table.add_row(row["generator"], row["metric"], f"{row['value']:.4f}{spread}")
    Console().print(table)
    nets = "; ".join(dict.fromkeys(row["net"] for row in rows if row["net"])) or "none"
    typer.echo(f"{samples} samples; net: {nets}; reference: {scorer.about}")
