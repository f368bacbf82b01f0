"""Draw the packages as layers, from the imports in the code: ``python scripts/layers.py docs/images/layers.png``."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "src" / "manypaths"


def package(module: str) -> str:
    return module.split(".")[0]


def imports() -> dict[str, set[str]]:
    """Package -> the packages that its files import, files at the top taken together as ``ground``."""
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")} - {"analytic"}
    found: dict[str, set[str]] = {name: set() for name in [*packages, "ground", "training", "cli"]}
    for path in ROOT.rglob("*.py"):
        here = path.relative_to(ROOT).parts[0].removesuffix(".py")
        here = here if here in found else "ground"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("manypaths."):
                there = package((node.module or "").removeprefix("manypaths."))
                there = there if there in found else "ground"
                if there != here and here != "ground":
                    found[here].add(there)
    return found


def levels(graph: dict[str, set[str]]) -> dict[str, int]:
    """The length of the longest way down from each package."""
    known: dict[str, int] = {}

    def level(name: str) -> int:
        if name not in known:
            known[name] = 1 + max((level(below) for below in graph[name]), default=-1)
        return known[name]

    for name in graph:
        level(name)
    return known


def draw(out: Path) -> None:
    """A row per level, the ground at the bottom; an arrow for each import that no longer way stands for."""
    from matplotlib.figure import Figure

    graph = imports()
    level = levels(graph)
    rows: dict[int, list[str]] = {}
    for name in sorted(graph):
        rows.setdefault(level[name], []).append(name)
    places = {name: ((i + 0.5) / len(names), row) for row, names in rows.items() for i, name in enumerate(names)}
    figure = Figure(figsize=(9, 0.8 * len(rows) + 0.4), layout="constrained")
    axes = figure.add_subplot()
    for name, belows in graph.items():
        reached = {far for below in belows for far in _all_below(graph, below)}
        for below in belows - reached:
            (x, y), (u, v) = places[name], places[below]
            axes.annotate("", (u, v + 0.2), (x, y - 0.2), arrowprops={"arrowstyle": "->", "color": "#9aa5b1", "lw": 1})
    for name, (x, y) in places.items():
        box = {"boxstyle": "round,pad=0.4", "facecolor": "#eef3f8", "edgecolor": "#2b6ca3"}
        axes.text(x, y, name, ha="center", va="center", fontsize=9, bbox=box)
    axes.set(xlim=(0, 1), ylim=(-0.6, len(rows) - 0.4))
    axes.axis("off")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)


def _all_below(graph: dict[str, set[str]], name: str) -> set[str]:
    return graph[name] | {far for below in graph[name] for far in _all_below(graph, below)}


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images/layers.png"))
