"""Seeds, threads, and small games that many tests share."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator

import pytest
import torch

from manypaths.evaluation import side_by_side
from manypaths.experiments import figures
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.sources.base import IndexSource
from manypaths.testing.closed_forms import curved_rotation

# The tensors are tiny: threads that wait for each other cost more than they compute, tenfold on a busy machine.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start

PRELOADED = ["manypaths.cli", "manypaths.run.loop", "sklearn.datasets", "torch._dynamo", "torch.utils.tensorboard"]
multiprocessing.set_forkserver_preload(PRELOADED)  # a test's processes are forked where all imports are done


@pytest.fixture(autouse=True)
def _seeded():
    torch.default_generator.manual_seed(0)  # torch.manual_seed notes a traceback for each kind of device
    yield
    torch.set_num_threads(1)


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads, and concurrent evaluations for networks of any size."""
    monkeypatch.setattr(side_by_side, "WORTH", 0)
    torch.set_num_threads(2)


@pytest.fixture
def finite_sum() -> tuple[Quadratic, IndexSource]:
    """Fifty component functions with curvature and interaction, and offsets; the solution is unique."""
    n, d = 50, 3
    generator = torch.Generator().manual_seed(1)
    noise = 0.1 * torch.randn(n, 2 * d, 2 * d, generator=generator, dtype=torch.float64)
    noise[:, :d, :d] = (noise[:, :d, :d] + noise[:, :d, :d].mT) / 2
    noise[:, d:, d:] = (noise[:, d:, d:] + noise[:, d:, d:].mT) / 2
    matrices = curved_rotation(d) + 0.3 * torch.eye(2 * d, dtype=torch.float64) + noise
    offsets = torch.randn(n, 2 * d, generator=generator, dtype=torch.float64)
    return Quadratic(matrices, offsets), IndexSource(n)


@pytest.fixture
def rotation() -> Bilinear:
    """min_x max_y xy."""
    return Bilinear(torch.ones(1, 1, dtype=torch.float64))


def pytest_collection_modifyitems(config, items) -> None:
    """What takes minutes runs only when it is asked for by name, ``pytest -m slow``."""
    if "slow" not in config.getoption("markexpr"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: run it with pytest -m slow"))


@pytest.fixture(autouse=True, scope="session")
def coarser_figures() -> Iterator[float]:
    """How many times: no test reads the pixels, and most of a figure's time is spent on them."""
    times = 4.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "DPI", figures.DPI / times)
        yield times
