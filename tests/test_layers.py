"""The layers: which package may import which, what the core may not contain, and how large things may grow."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "src" / "manypaths"
FILES = sorted(p for p in ROOT.rglob("*.py"))

GROUND = [
    "errors",
    "former_names",
    "registry",
    "fields",
    "specs",
    "randomness",
    "files",
    "vectors",
    "step",
    "eager",
    "user_code",
    "_exports",
]
PIECES = [*GROUND, "sources", "objectives", "penalties", "models", "data"]
GAMES = [*GROUND, "sources", "objectives", "penalties", "games"]
ASKED = [*GAMES, "evaluation", "oracles"]
PLAYED = [*ASKED, "optim", "rules", "schedules", "populations", "distributed", "training"]
LAYERS = {
    **dict.fromkeys(GROUND, GROUND),
    "sources": GROUND,
    "objectives": GROUND,
    "schedules": GROUND,
    "models": [*GROUND, "sources"],
    "data": [*GROUND, "sources"],
    "penalties": [*GROUND, "sources"],
    "games": GAMES,
    "evaluation": GAMES,
    "populations": GAMES,
    "distributed": GAMES,
    "oracles": ASKED,
    "optim": GAMES,
    "rules": [*ASKED, "optim"],
    "training": PLAYED,
    "metrics": [*PIECES, *ASKED, "populations"],
    "run": [*PIECES, *PLAYED, "metrics"],
    "experiments": [*PIECES, *PLAYED, "metrics", "run"],
    "recipes": [*PIECES, *PLAYED, "metrics", "run"],
    "testing": [*PIECES, *PLAYED, "metrics"],
    "studies": [*PIECES, *PLAYED, "metrics", "run", "recipes", "testing", "experiments"],
    "report": ["errors", "files", "run.record"],
    "cli": [*GROUND, "recipes", "run", "studies", "experiments", "report", "testing"],
    "__main__": ["cli"],
    "analytic": ["_exports"],
    "__init__": ["_exports"],
}
"""Package -> the packages that it may import, besides itself."""


def package(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(path): path for path in FILES}


def exports() -> dict[str, str]:
    """What packages export on first use, ``rules.Simultaneous`` -> the module that it comes from."""
    found = {}
    for stub in ROOT.rglob("__init__.pyi"):
        home = ".".join(stub.parent.relative_to(ROOT).parts)
        for node in ast.parse(stub.read_text()).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("manypaths."):
                for alias in node.names:
                    name = f"{home}.{alias.asname or alias.name}".strip(".")
                    found[name] = (node.module or "").removeprefix("manypaths.")
    return found


EXPORTS = exports()


def target(path: Path, node: ast.ImportFrom) -> str | None:
    """The module of this project that is named, from the package's root; ``None`` of others."""
    if node.level:
        folder = path.relative_to(ROOT).parts[:-1]
        return ".".join([*folder[: len(folder) - node.level + 1], *(node.module or "").split(".")]).strip(".")
    if (node.module or "").split(".")[0] != "manypaths":
        return None
    return (node.module or "").removeprefix("manypaths").removeprefix(".")


def imported(path: Path) -> set[str]:
    """Modules of this project that a file imports, also inside functions and for type checkers alone."""
    tree, names = ast.parse(path.read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            inside = target(path, node)
            for alias in node.names if inside is not None else ():
                whole = f"{inside}.{alias.name}".strip(".")
                names.add(whole if whole in MODULES else EXPORTS.get(whole, inside or ""))
        elif isinstance(node, ast.Import):
            names |= {a.name.removeprefix("manypaths.") for a in node.names if a.name.startswith("manypaths.")}
    return names - {""}


def circles(graph: dict[str, set[str]]) -> list[str]:
    """What lies on some circle of a graph: whatever reaches itself."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [*graph.get(start, ())]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += graph.get(name, ())
        return found

    return sorted(name for name in graph if name in reached(name))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    here = package(path)
    for name in imported(path):
        allowed = any(name == a or name.startswith(f"{a}.") for a in [*LAYERS[here], here])
        assert allowed, f"{here} must not import {name}"


def test_packages_are_layers() -> None:
    """Of two packages at most one may import the other, also through others."""
    above = {here: {name.partition(".")[0] for name in allowed} for here, allowed in LAYERS.items()}
    assert circles({here: names - {here} for here, names in above.items() if here not in GROUND}) == []


def test_no_two_files_import_each_other() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c"], "this test can fail"
    assert circles({name: imported(path) & set(MODULES) for name, path in MODULES.items()}) == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_size_limits(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 320, "split the file: one concept per file"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno <= 65, f"{node.name} is too long"


CORE_PACKAGES = (
    *("rules", "oracles", "optim", "games", "evaluation", "populations", "distributed", "training", "vectors"),
)
CORE = [p for p in FILES if package(p) in CORE_PACKAGES]


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(ROOT)))
def test_core_moves_weights_in_place(path: Path) -> None:
    found = re.findall(r"(?<!utils)\.data\b|deepcopy|nan_to_num", path.read_text())
    if path.name == "vectors.py":  # ``swap_back``, for the time of an evaluation elsewhere
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
