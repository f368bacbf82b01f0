"""Cells that are training runs of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from manypaths.data.base import DataSet
from manypaths.experiments.cells import Cell, versioned
from manypaths.metrics.feature_nets import default_net, feature_net
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe
from manypaths.run.record import RunDirectory
from manypaths.run.tracking import scalars

FOREVER = 10**9
"""Steps of a run that ends with its budget of gradient evaluations."""
SCORE = "score/last/"
"""What the columns of the last iterate's scores begin with."""


def run_cell(
    recipe: Recipe, labels: Mapping[str, Any], *, evaluations: float | None = None, seconds: float = 0.0
) -> Cell:
    """The cell that trains a recipe, seed included; ``labels`` are its columns in the study's table.

    The whole recipe is the cell's identity: a changed default is another cell.
    """
    return Cell(
        f"{__name__}:train",
        {"recipe": recipe.to_plain()},
        labels=labels,
        evaluations=(recipe.evaluations or 0) if evaluations is None else evaluations,
        seconds=seconds,
    )


def require_net(data: DataSet, name: str | None = None) -> None:
    """Make the feature net that scores will read (by default the data set's own), and load the data.

    For ``Study.ready``: before the first cell, for minutes where the net is missing, once and not in every worker.
    """
    data.load()
    feature_net(name or default_net(data))


def last_score(columns: Mapping[str, Any]) -> list[float]:
    """The score of the last iterate of a run with one metric, row by row; not a number where there is none."""
    name = next((name for name in columns if name.startswith(SCORE)), "")
    return columns.get(name, [float("nan")] * len(columns["step"]))


def metric_name(column: str) -> str:
    """A score's metric without its feature net, the same on every data set."""
    return column.removeprefix(SCORE).partition(" (")[0]


def placed(recipe: Recipe) -> Recipe:
    """The recipe on the GPU where torch sees one."""
    return replace(recipe, device="cuda") if torch.cuda.is_available() else recipe


@versioned(1, name="manypaths.studies.engine.runs:train")
def train(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """Train in ``run/``, going on from a checkpoint where there is one; the columns are those of ``metrics.jsonl``.

    Nested numbers get their path as name (``loss/critic``), ``state`` says how the run ended; a run that diverged has
    a last row at that step, with nothing measured.
    """
    home = RunDirectory(directory / "run")
    status = Run(Recipe.from_plain(settings["recipe"]), home.path, resume=home.exists()).train()
    if status.state == "interrupted":
        raise KeyboardInterrupt
    rows = [dict(scalars(row)) for row in home.rows()]
    if not rows or rows[-1]["step"] < status.step:
        rows.append({"step": float(status.step)})
    names = dict.fromkeys(name for row in rows for name in row)
    columns: dict[str, Any] = {name: [row.get(name, float("nan")) for row in rows] for name in names}
    return {**columns, "state": status.state}
