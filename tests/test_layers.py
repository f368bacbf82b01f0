"""The house: which room may import which, what no room may contain, and how large things may grow."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "src" / "manypaths"
FILES = sorted(p for p in ROOT.rglob("*.py"))

BELOW = ["errors", "registry", "fields", "parts", "randomness", "files", "_exports"]
PIECES = ["games", "objectives", "penalties", "models", "data"]
LAYERS = {
    **dict.fromkeys(BELOW, BELOW),
    **{name: [*BELOW, *PIECES] for name in PIECES},
    "oracles": [*BELOW, *PIECES],
    "optim": [*BELOW, "games"],
    "rules": [*BELOW, "games", "oracles", "optim"],
    "metrics": [*BELOW, *PIECES, "oracles"],
    "training": [*BELOW, "games", "oracles", "optim", "rules"],
    "run": [*BELOW, *PIECES, "oracles", "optim", "rules", "metrics", "training"],
    "recipes": [*BELOW, *PIECES, "oracles", "optim", "rules", "metrics", "run"],
    "studies": [*BELOW, *PIECES, "oracles", "optim", "rules", "metrics", "training", "run", "recipes", "testing"],
    "testing": [*BELOW, *PIECES, "oracles", "optim", "rules", "metrics", "training"],
    "report": ["errors", "files", "run.record"],
    "cli": [*BELOW, "recipes", "run", "studies", "report", "testing"],
    "__init__": ["_exports"],
}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("manypaths"):
            inside = node.module.removeprefix("manypaths").removeprefix(".")
            names |= {inside} if inside else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.name.removeprefix("manypaths.") for a in node.names if a.name.startswith("manypaths.")}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    here = room(path)
    for name in imported(path):
        allowed = any(name == a or name.startswith(f"{a}.") for a in [*LAYERS[here], here])
        assert allowed, f"{here} must not import {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_size_limits(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 320, "split the file: one concept per file"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno <= 65, f"{node.name} is too long"


CORE = [p for p in FILES if room(p) in ("rules", "oracles", "optim", "games", "training")]


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(ROOT)))
def test_core_moves_weights_in_place(path: Path) -> None:
    found = re.findall(r"(?<!utils)\.data\b|deepcopy|nan_to_num", path.read_text())
    if path.name == "vectors.py":  # ``give_back``, for the time of an evaluation elsewhere
        found.remove(".data")
    assert not found, f"banned in the core: {found}"


def test_report_and_listing_need_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import manypaths.report.page, manypaths.cli\n"
        "from manypaths.registry import registries\n"
        "print(all(table.summary(name) for table in registries().values() for name in table))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True", "an entry of a table has no docstring"


def test_the_package_needs_torch_and_numpy_only() -> None:
    import subprocess
    import sys

    code = (
        "import sys, torch, numpy\n"
        "for name in ('typer rich PIL jinja2 sklearn tensorboard click pydantic scipy torchmetrics '\n"
        "             'pyarrow matplotlib').split():\n"
        "    sys.modules[name] = None\n"
        "import manypaths\n"
        "names = [getattr(manypaths, n) for n in manypaths.__all__ if n != 'Run']\n"
        "print(len(names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 30
