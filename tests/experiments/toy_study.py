"""A study whose cells note every call, and misbehave until ``repaired`` stands in the study's directory."""

from __future__ import annotations

import os
import signal
import time

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell, versioned
from manypaths.experiments.claims import Claim, above, below, within
from manypaths.experiments.figures import canvas
from manypaths.experiments.statistics import Bootstrap, Exact, Proportion

SEEDS = {"smoke": 3, "laptop": 8}


@versioned(1)
def measured(settings, directory):
    """Two rows: the seed, and the seed plus one."""
    out = directory.parents[1]
    with (out / "calls.txt").open("a") as file:
        file.write(f"{settings['seed']}\n")
    if not (out / "repaired").exists():
        misbehave(settings.get("does"))
    print("a word from the cell")
    return {"value": [settings["seed"], settings["seed"] + 1.0], "half": ["first", "second"]}


def misbehave(how):
    if how == "raise":
        raise ValueError("three\nlines\nhere")
    if how == "exit":
        os._exit(3)
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "wait":
        time.sleep(300)


@versioned(1)
def drawn(settings, directory):
    """A number from torch's global generator, which nobody seeded here."""
    import torch

    return {"value": float(torch.rand(())), "threads": torch.get_num_threads()}


def cell(seed, **more):
    return Cell("toy_study:measured", {"seed": seed, **more}, evaluations=1000.0, seconds=2.0)


def study(*cells):
    """The toy study."""
    return Study(
        name="toy",
        question="Is the mean of the seeds what it is?",
        cells=lambda scale: cells or [cell(seed) for seed in range(SEEDS[scale])],
        claims=lambda scale: [
            Claim(
                name="T1",
                statement="the largest value is the number of seeds",
                statistic=Exact(function=lambda table: table["value"].max()),
                expected=within(0.5, of=len(cells) or SEEDS[scale]),
            ),
            Claim(
                name="T2",
                statement="the mean of the second half is far below 100",
                statistic=Bootstrap(
                    per_seed=lambda rows: rows["value"][0],
                    n=len(cells) or SEEDS[scale],
                    spread=1.0,
                    where={"half": "second"},
                ),
                expected=below(100.0),
                assumed=2.0,
            ),
            Claim(
                name="T3",
                statement="most seeds are odd",
                statistic=Proportion(per_seed=lambda rows: bool(rows["seed"][0] % 2), n=len(cells) or SEEDS[scale]),
                expected=above(0.5),
                assumed=0.9,
            ),
        ],
        figures={"values": figure},
        pages={"page": lambda table: f"{len(table)} rows\n"},
        scales=("smoke", "laptop"),
    )


def figure(table):
    drawing, (panel,) = canvas()
    panel.plot(table["seed"], table["value"], "o")
    return drawing


def no_study():
    return 3
