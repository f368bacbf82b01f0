"""A study: cells, the claims that they test, and figures, as data and small functions.

@versioned(1)
def distances(settings, directory):  # a cell: pure, and importable by a worker process
    return {"step": [0, 100], "distance": [...]}

def study() -> Study:
    '''What `manypaths list` says.'''
    return Study(
        name="my-study",
        question="Does the distance fall?",
        cells=lambda scale: [Cell("my_module:distances", {"seed": seed}) for seed in range(SEEDS[scale])],
        claims=lambda scale: [
            Claim(
                name="P9",
                statement="the distance falls",
                statistic=Bootstrap(per_seed=fall, n=SEEDS[scale], spread=0.1),
                expected=below(0.0),
            )
        ],
        figures={"distance": draw},
    )
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from manypaths import fields
from manypaths.errors import InvalidValue, unknown_name
from manypaths.experiments.cells import Cell
from manypaths.experiments.claims import Claim
from manypaths.experiments.tables import Table
from manypaths.files import require_plain_name

SCALES = ("smoke", "laptop", "paper")


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is asked and how it is answered; everything but the name and the question depends on the scale.

    Attributes:
        name: as on the command line.
        question: what the study answers, in one sentence.
        cells: scale -> the cells, settings x seeds.
        claims: scale -> the claims, fixed before the runs.
        figures: file name without suffix -> a function from the study's table to a matplotlib figure.
        pages: file name without suffix -> a function from the study's table to Markdown.
        ready: scale -> makes what all cells need (a feature net), or raises in one line where it is not to be had (a
            data set); called before the first cell runs.
        scales: the scales that the study knows; ``smoke`` takes seconds to minutes, ``laptop`` minutes to hours,
            ``paper`` is the published one.
    """

    name: str
    question: str
    cells: Callable[[str], Sequence[Cell]]
    claims: Callable[[str], Sequence[Claim]]
    figures: Mapping[str, Callable[[Table], Any]] = field(default_factory=dict)
    pages: Mapping[str, Callable[[Table], str]] = field(default_factory=dict)
    ready: Callable[[str], object] = lambda scale: None
    scales: tuple[str, ...] = SCALES

    def __post_init__(self) -> None:
        fields.check(self)
        require_plain_name(self.name, "the name of a study")
        for name in (*self.figures, *self.pages):
            require_plain_name(name, f"the name of a figure or page of {self.name}")

    def at(self, scale: str) -> Plan:
        """The study at one scale."""
        if scale not in self.scales:
            raise unknown_name(f"scale of {self.name}:", scale, self.scales)
        return Plan(self, scale, tuple(self.cells(scale)), tuple(self.claims(scale)))


@dataclass(frozen=True)
class Plan:
    """A study at one scale: nothing about it depends on results."""

    study: Study
    scale: str
    cells: tuple[Cell, ...]
    claims: tuple[Claim, ...]

    def __post_init__(self) -> None:
        for what, names in (
            ("claims", [claim.name for claim in self.claims]),
            ("cells", [f"{cell.key} {cell.columns}" for cell in self.cells]),
        ):
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise InvalidValue(f"{self.study.name}: two {what} are the same: {twice[0]}")

    @property
    def distinct(self) -> list[Cell]:
        """The cells to compute: those that share an address under different labels are computed once."""
        return list({cell.key: cell for cell in self.cells}.values())
