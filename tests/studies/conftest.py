"""What the tests of studies share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from manypaths.experiments import figures

sys.path.insert(0, str(Path(__file__).parent))  # the toy study is imported by its name, in worker processes too


@pytest.fixture(autouse=True, scope="session")
def coarser_figures() -> Iterator[float]:
    """How many times: no test reads the pixels, and most of a figure's time is spent on them."""
    times = 4.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "DPI", figures.DPI / times)
        yield times
