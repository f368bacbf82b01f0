"""Run directories as the report sees them."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manypaths.errors import InvalidValue
from manypaths.files import read_json
from manypaths.run.record import RunDirectory

AXES = {
    "step": "iterations",
    "evaluations": "gradient evaluations",
    "passes": "effective passes",
    "seconds": "seconds of training",
}


@dataclass(frozen=True)
class RunRecord:
    """One finished or unfinished run, as plain data."""

    path: Path
    name: str
    command: str
    recipe: dict[str, Any]
    status: dict[str, Any]
    rows: list[dict[str, Any]]
    samples: dict[str, dict[int, Path]]
    """Which iterate -> step -> picture."""

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe's settings by dotted path."""
        return flatten(self.recipe)


def read_run(path: Path) -> RunRecord:
    """Everything the page shows of one run."""
    directory = RunDirectory(path)
    if not directory.exists():
        raise InvalidValue(f"{path} holds no run: expected a directory with a recipe.json")
    recipe = _json(directory.recipe)
    status = {"state": "unknown", "step": 0, "message": ""}
    if directory.status.exists():
        status |= _json(directory.status)
    command = ""
    if directory.command.exists():
        command = directory.command.read_text(encoding="utf-8", errors="replace").strip()
    samples: dict[str, dict[int, Path]] = {}
    for picture in sorted(directory.samples.glob("*.png")):
        if taken := re.fullmatch(r"(.+)-(\d+)", picture.stem):
            samples.setdefault(taken[1], {})[int(taken[2])] = picture
    rows = [row for row in directory.rows() if all(isinstance(row.get(axis), (int, float)) for axis in AXES)]
    return RunRecord(path, path.name, command, recipe, status, rows, samples)


def _json(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise InvalidValue(f"{path} is {type(found).__name__}: expected an object")
    return found


def flatten(data: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as ``{"oracle.batch": 64}``; a part's own name stands at the part's path."""
    if isinstance(data, dict):
        flat: dict[str, Any] = {}
        for key, value in data.items():
            inner = prefix if key == "name" and prefix else f"{prefix}.{key}" if prefix else key
            flat.update(flatten(value, inner))
        return flat
    if isinstance(data, list) and any(isinstance(item, dict) for item in data):
        return {k: v for i, item in enumerate(data) for k, v in flatten(item, f"{prefix}.{i}").items()}
    return {prefix: data}


def groups(runs: list[RunRecord]) -> list[dict[str, Any]]:
    """Runs that differ in their seed alone, drawn as one band: ``[{"name": ..., "runs": [0, 2, 4]}]``."""
    found: dict[str, list[int]] = {}
    for i, run in enumerate(runs):
        recipe = {key: value for key, value in run.recipe.items() if key not in ("seed", "name")}
        found.setdefault(json.dumps(recipe, sort_keys=True), []).append(i)
    names = [str(runs[members[0]].recipe.get("name", runs[members[0]].name)) for members in found.values()]
    result = []
    for name, members in zip(names, found.values(), strict=True):
        alone = runs[members[0]].name
        label = f"{name}, {len(members)} seeds" if len(members) > 1 else alone
        result.append({"name": label, "runs": members})
    return result


def differences(runs: list[RunRecord]) -> list[tuple[str, list[Any]]]:
    """The settings in which the runs differ, with each run's value (``None`` where it has none)."""
    paths = list(dict.fromkeys(path for run in runs for path in run.settings))
    table = [(path, [run.settings.get(path) for run in runs]) for path in paths]
    return [(path, values) for path, values in table if path != "name" and any(v != values[0] for v in values)]


def thinned(steps: list[int], most: int) -> list[int]:
    """At most ``most`` of the steps, evenly, with both ends."""
    if len(steps) <= most:
        return steps
    return [steps[round(i * (len(steps) - 1) / (most - 1))] for i in range(most)]


def data_uri(picture: Path) -> str:
    """A PNG inside the page."""
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
