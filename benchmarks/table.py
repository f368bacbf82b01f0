"""Write the table of ``results.json`` into docs/performance.md, between its two marks.

python benchmarks/table.py
"""

from __future__ import annotations

import json
from pathlib import Path

from harness import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
MARKS = "<!-- results -->", "<!-- end of results -->"


def table() -> str:
    """The machine, and a row per result."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    machine = ", ".join(f"{key} {value}" for key, value in found["machine"].items() if value is not None)
    lines = [
        f"Measured on: {machine}. Ratios are medians over interleaved rounds (smallest to largest).",
        "",
        "| what | ratio | ours, ms | theirs, ms | vectors | command |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(found["results"], key=lambda row: row["name"]):
        ratio = f"{row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        times = f"{row['ours_ms']:.4g} | {row['theirs_ms']:.4g}"
        lines.append(f"| {row['name']} | {ratio} | {times} | {row.get('vectors', '')} | `{row['command']}` |")
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with the present table."""
    head, rest = page.split(MARKS[0])
    tail = rest.split(MARKS[1])[1]
    return f"{head}{MARKS[0]}\n\n{table()}\n\n{MARKS[1]}{tail}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
