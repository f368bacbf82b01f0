"""Two things timed in turns, so that a busy machine disturbs both alike; what is kept is the median of the ratios."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results.json"


@dataclass(frozen=True)
class Result:
    """How many times faster ``ours`` is than ``theirs``: median of the ratios of interleaved rounds, and their range.

    Times are medians in milliseconds, for orientation: they move with the load of the machine, ratios hardly. Ratios
    depend on what the processor's arithmetic is like, so ``vectors`` keeps the instructions that torch had.
    """

    name: str
    ratio: float
    low: float
    high: float
    ours_ms: float
    theirs_ms: float
    rounds: int
    command: str
    vectors: str = field(default_factory=torch.backends.cpu.get_cpu_capability)

    def __str__(self) -> str:
        spread = f"{self.ratio:.2f} times ({self.low:.2f} to {self.high:.2f})"
        return f"{self.name}: {spread}, {self.ours_ms:.1f} against {self.theirs_ms:.1f} ms"


def compare(
    name: str, ours: Callable[[], object], theirs: Callable[[], object], *, rounds: int = 9, repeats: int = 1
) -> Result:
    """Time both in turns, each ``repeats`` times per round after one call to warm up."""
    ours(), theirs()
    pairs = [(milliseconds(ours, repeats), milliseconds(theirs, repeats)) for _ in range(rounds)]
    ratios = [theirs / ours for ours, theirs in pairs]
    mine, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    return Result(name, *spread(ratios), mine, other, rounds, command())


def spread(ratios: list[float]) -> tuple[float, float, float]:
    """Median, smallest, largest."""
    return statistics.median(ratios), min(ratios), max(ratios)


def command() -> str:
    """What makes a figure again."""
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def milliseconds(function: Callable[[], object], repeats: int = 1) -> float:
    """Wall time per call."""
    started = time.perf_counter()
    for _ in range(repeats):
        function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / repeats * 1e3


def record(results: list[Result]) -> None:
    """Print, and write into ``results.json`` over what stood there under the same names."""
    known = json.loads(RESULTS.read_text(encoding="utf-8"))["results"] if RESULTS.exists() else []
    names = {result.name for result in results}
    rows = [row for row in known if row["name"] not in names] + [asdict(result) for result in results]
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    RESULTS.write_text(json.dumps({"machine": machine, "results": rows}, indent=2) + "\n", encoding="utf-8")
    for result in results:
        print(result)


def _processor() -> str:
    """Its model where the system tells."""
    known = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", known.read_text(encoding="utf-8")) if known.exists() else None
    return model[1] if model else platform.processor() or platform.machine()
