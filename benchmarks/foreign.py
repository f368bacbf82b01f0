"""SVRE on DCGAN-28 against the restated scheme while somebody else keeps one core busy.

python benchmarks/foreign.py
"""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer
from harness import compare, record
from nets import DCGAN
from restated import Restated
from steps import scheme

from manypaths.run.memory import keep_freed_memory


def main(rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 9) -> None:
    keep_freed_memory()
    theirs = scheme(DCGAN, Restated, reduced=True)
    ours, alone = DCGAN.training(reduced=True), DCGAN.training(reduced=True, concurrent="off")
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        name = "DCGAN-28: SVRE iteration, portable, one foreign busy core"
        results = [
            compare(f"{name}, against the restated scheme", ours.step, theirs.step, rounds=rounds),
            compare(f"{name}, against one evaluation", ours.step, alone.step, rounds=rounds),
        ]
    finally:
        busy.kill()
        busy.wait()
    record(results)


if __name__ == "__main__":
    typer.run(main)
