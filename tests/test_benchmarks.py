"""The table in docs/performance.md is that of benchmarks/results.json."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_the_page_shows_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    table = runpy.run_path(str(BENCHMARKS / "table.py"))
    page = table["PAGE"].read_text(encoding="utf-8")
    assert table["written"](page) == page
