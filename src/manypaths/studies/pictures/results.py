"""What the runs of the studies on pictures came to: quality, whether a setting trains, ranks here and elsewhere."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from manypaths.experiments import markdown
from manypaths.experiments.estimates import Estimate
from manypaths.experiments.statistics import NotTested, Proportion, trials
from manypaths.experiments.store import Store
from manypaths.experiments.tables import Table
from manypaths.studies.many_paths import TITLES, end

REAL, MEAN = "real data", "mean image"
"""What a game could have generated: training images, or nothing but their mean."""
TRAINS = 0.5
"""The quality from which a run trains."""
OTHERS = (0.25, TRAINS, 0.75)
DIVERSITY = "ms-ssim"
PENALISED = ("gan-gp", "dragan-ns")
SYNTHETIC = "low-dimensional-manifold"
SYNTHETIC_VARIABLE = "MANYPATHS_SYNTHETIC"


def score_of(rows: Table, game: str, name: str) -> float:
    """A score of one game at one setting; a run that diverged has none, and counts as the mean image."""
    value, mean = (float(rows.where(game=which)[name][0]) for which in (game, MEAN))
    return value if math.isfinite(value) else mean


def quality(rows: Table, game: str) -> float:
    """The deciding score of one game at one setting in units of the data: 0 at the mean image, 1 at real images.

        q = max(0, (s(game) - s(mean image)) / (s(real) - s(mean image))),

    so higher is better whichever way the score points. The score is named by the column ``score``.
    """
    name = rows["score"][0]
    found, real, mean = (score_of(rows, which, name) for which in (game, REAL, MEAN))
    return max(0.0, (found - mean) / (real - mean)) if real != mean else math.nan


def trains(rows: Table, game: str, least: float = TRAINS) -> bool:
    """Whether it comes at least half of the way from the mean image to real data."""
    return quality(rows, game) >= least


def thresholds(table: Table) -> str:
    """Markdown: at how many settings each game trains, by what is called training; the claims are about ``TRAINS``."""
    places = [rows for (setting,), rows in table.groups("setting") if setting is not None]
    rows = [[f"{least:g}", *(sum(trains(p, game, least) for p in places) for game in TITLES)] for least in OTHERS]
    return markdown.table(["quality at least", *TITLES.values()], rows)


def both_train(game: str, other: str) -> Callable[[Table], tuple[bool, bool]]:
    """Whether the one and whether the other game trains at a setting."""
    return lambda rows: (trains(rows, game), trains(rows, other))


def gain(game: str, other: str) -> Callable[[Table], float]:
    """By how much the one game's quality exceeds the other's at a setting."""
    return lambda rows: quality(rows, game) - quality(rows, other)


def less_similar(game: str, other: str) -> Callable[[Table], float]:
    """How much farther than the other's the one game's MS-SSIM is from that of real data, at a setting."""

    def difference(rows: Table) -> float:
        real = score_of(rows, REAL, DIVERSITY)
        one, two = (abs(score_of(rows, which, DIVERSITY) - real) for which in (game, other))
        return one - two

    return difference


def qualities(rows: Table) -> list[float]:
    """Of all games at a setting, in the order of ``TITLES``."""
    return [quality(rows, game) for game in TITLES]


def fails_where_a_penalty_trains(rows: Table) -> bool:
    """Whether WGAN-GP does not train at a setting at which a penalised non-saturating game does."""
    return not trains(rows, "wgan-gp") and any(trains(rows, game) for game in PENALISED)


@dataclass(frozen=True, kw_only=True)
class BesideTraining(Proportion):
    """A share of settings that says something only where GAN-GP or DRAGAN-NS trains at more than ``least`` of all."""

    least: float

    def estimate(self, table: Table) -> Estimate:
        settings = trials(table.where(**self.where), self.by, self.n)
        trained = sum(any(trains(rows, game) for game in PENALISED) for rows in settings)
        if trained <= self.least * self.n:
            raise NotTested(f"GAN-GP or DRAGAN-NS trains at {trained} of {self.n} settings only, too few to tell")
        return super().estimate(table)


def ranks(losses: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, 1 for the least; ties share their mean rank."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(losses, axis=-1))


def ranks_here(rows: Table) -> np.ndarray:
    """The games' ranks at one setting, the best first."""
    return ranks(-np.array(qualities(rows)))


def synthetic_ranks(scale: str) -> np.ndarray:
    """The games' ranks at each setting of a finished ``low-dimensional-manifold``, (settings, games).

    Its directory is $MANYPATHS_SYNTHETIC, or ``runs/low-dimensional-manifold-<scale>``. A game is ranked by the median
    over seeds of the distance at which its runs end. Raises ``NotTested`` where no such results are.
    """
    store = Store(Path(os.environ.get(SYNTHETIC_VARIABLE) or Path("runs") / f"{SYNTHETIC}-{scale}").expanduser())
    if not store.table.exists() or store.about()["study"] != SYNTHETIC:
        raise NotTested(f"no results of {SYNTHETIC} in {store.path}: run it, or set {SYNTHETIC_VARIABLE}")
    ends = []
    for _, rows in Table.read(store.table).where(function="robustness").groups("setting"):
        played = {game: runs for (game,), runs in rows.groups("game")}
        if set(TITLES) <= set(played):
            seeds = [[end(run) for _, run in played[game].groups("seed")] for game in TITLES]
            ends.append([float(np.median(found)) for found in seeds])
    if not ends:
        raise NotTested(f"{store.path} has no setting at which all games have been played: finish it")
    return ranks(np.array(ends))
