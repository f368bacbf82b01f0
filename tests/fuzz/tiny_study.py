"""The smallest study with a claim, for files to be damaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell, versioned


@versioned(1)
def measured(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    return {"value": [0.5 * settings["seed"]]}


def study() -> Study:
    return Study(
        name="tiny",
        question="Is it half of its seed?",
        cells=lambda scale: [Cell("tiny_study:measured", {"seed": seed}) for seed in range(3)],
        claims=lambda scale: [],
    )
