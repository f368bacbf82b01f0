"""P2.2: the stochastic bilinear game of SVRE's Figure 4, with hundreds of repetitions instead of five."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell, versioned
from manypaths.experiments.claims import Claim, above, within
from manypaths.experiments.figures import COLOURS, canvas
from manypaths.experiments.statistics import Bootstrap, median_interval
from manypaths.experiments.tables import Table
from manypaths.games.analytic.base import joined
from manypaths.games.analytic.coordinatewise import Coordinatewise
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.optim.vradam import VRAd
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.alternating import Alternating
from manypaths.rules.extragradient import Extragradient
from manypaths.sources.base import IndexSource
from manypaths.studies.bilinear_figure4.replicas import SvreReplicas
from manypaths.training import Training

N = 100
STEP_SIZE = 0.3
RUNS_PER_MEAN = 5
GAMES = {"smoke": 2, "laptop": 10, "paper": 40}
REPETITIONS = {"smoke": 10, "laptop": 50, "paper": 50}
"""Per game."""
PASSES = {"smoke": 20, "laptop": 600, "paper": 600}
"""As plotted: an iteration counts the evaluations of one player at the current iterate, 2 of them for extragradient."""
SECONDS_PER_ITERATION, SECONDS_PER_LANE_ITERATION = 6e-4, 5e-5


@dataclass(frozen=True)
class Method:
    """One training run of the figure.

    Attributes:
        base: the optimiser, at the step size 0.3.
        variance_reduced: SVRG with a coin of probability 1/n per iteration, else plain samples.
        restart: of the uniform average.
        alternating: alternating steps, with a restart coin per iteration, instead of extragradient.
    """

    base: Callable[..., Optimizer] = SGD
    variance_reduced: bool = True
    restart: float = 0.0
    alternating: bool = False

    @property
    def plain_svre(self) -> bool:
        """Whether ``SvreLanes`` plays it."""
        return self.base is SGD and self.variance_reduced and not self.alternating

    @property
    def evaluations(self) -> int:
        """Per iteration and player, at the current iterate: what the figure's axis counts."""
        return 1 if self.alternating else 2


def _adam(parameters: Any, lr: float) -> Optimizer:
    return Adam(parameters, lr=lr, betas=(0.0, 0.9))


METHODS = {
    "AltSGD": Method(variance_reduced=False, restart=0.1 / N, alternating=True),
    "SVRE p=0": Method(),
    "SVRE p=1/2": Method(restart=1 / 2),
    "SVRE p=1/20": Method(restart=1 / 20),
    "SVRE p=1/10": Method(restart=1 / 10),
    "SVRE-VRAd": Method(base=VRAd, restart=1 / 10),
    "SVRE-A": Method(base=_adam, restart=1 / 10),
    "SE": Method(variance_reduced=False),
}


@dataclass(frozen=True)
class Curve:
    """One line of the figure: a method, read at its last iterate or at its average.

    ``published``: the authors' mean over 5 runs of ||x - x*|| + ||y - y*|| at 100, 200, ... 600 passes as plotted,
    printed by their notebook (one run for SE).
    """

    method: str
    read: str
    published: tuple[float, ...]
    runs: int = RUNS_PER_MEAN


CURVES = {
    "AVG-AltSGD": Curve("AltSGD", "average", (12.9, 14.8, 15.6, 15.1, 16.1, 14.0)),
    "AVG-SVRE, no restart": Curve("SVRE p=0", "average", (2.70, 1.75, 1.55, 2.38, 2.12, 2.12)),
    "SVRE p=1/2": Curve("SVRE p=1/2", "last", (10.9, 5.11, 2.57, 1.34, 0.655, 0.314)),
    "SVRE p=1/20": Curve("SVRE p=1/20", "last", (7.05, 0.387, 0.030, 7.3e-3, 7.3e-4, 4.6e-4)),
    "SVRE p=1/10": Curve("SVRE p=1/10", "last", (5.60, 0.532, 0.032, 3.4e-3, 5.0e-4, 2.5e-5)),
    "SVRE-VRAd p=1/10": Curve("SVRE-VRAd", "last", (2.88, 0.289, 0.031, 2.0e-3, 1.8e-4, 2.2e-6)),
    "SVRE-A p=1/10": Curve("SVRE-A", "last", (1.8e3, 1.3e3, 1.9e3, 2.2e3, 1.8e3, 2.1e3)),
    "SVRE, last iterate, no restart": Curve("SVRE p=0", "last", (24.5, 37.8, 58.1, 69.8, 97.9, 107.0)),
    "stochastic extragradient": Curve("SE", "last", (2.9e2, 2.6e3, 2.3e4, 1.9e5, 1.6e6, 1.4e7), runs=1),
}
MARKS = (100, 200, 300, 400, 500, 600)


def study() -> Study:
    """Does SVRE's Figure 4, the stochastic bilinear game, come out with enough repetitions? (P2.2)"""
    return Study(
        name="bilinear-figure4",
        question="Do the nine curves of SVRE's Figure 4 come out, and in their order, with enough repetitions?",
        cells=cells,
        claims=claims,
        figures={"figure4": draw},
    )


# ---- what is computed --------------------------------------------------------------------------------------------


@versioned(2)
def played(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """All repetitions of one method on one draw of the game, a row per repetition and mark; no two share a seed."""
    method, every, count = METHODS[settings["method"]], settings["every"], settings["repetitions"]
    seeds = tuple(range(settings["game"] * count, (settings["game"] + 1) * count))
    game = Coordinatewise(N, seed=settings["game"])
    stack = (_Lanes if method.plain_svre else _Members)(game, method, seeds)
    rows: dict[str, list[Any]] = {name: [] for name in ("run", "group", "plotted", "passes", "last", "average")}
    for plotted in range(0, settings["budget"] + 1, every):
        stack.advance(every * N // method.evaluations if plotted else 0)
        rows["run"] += seeds
        rows["group"] += [seed // RUNS_PER_MEAN for seed in seeds]
        rows["plotted"] += [plotted] * len(seeds)
        rows["passes"] += (stack.evaluations() / N).tolist()
        rows["last"] += _distances(stack.iterates(), game.solution())
        rows["average"] += _distances(stack.averages(), game.solution())
    return rows


class _Lanes:
    """SVRE with plain SGD, the short way."""

    def __init__(self, game: Coordinatewise, method: Method, seeds: Sequence[int]):
        self._replicas = SvreReplicas(game, seeds, lr=STEP_SIZE, restart=method.restart)
        self.advance = self._replicas.advance

    def evaluations(self) -> Tensor:
        return torch.from_numpy(self._replicas.evaluations)

    def iterates(self) -> Tensor:
        return torch.from_numpy(self._replicas.iterates())

    def averages(self) -> Tensor:
        return torch.from_numpy(self._replicas.averages())


class _Members:
    """Any method, as a population."""

    def __init__(self, game: Coordinatewise, method: Method, seeds: Sequence[int]):
        self._population = Population([game] * len(seeds), seeds=seeds)
        self._training = _training(self._population, method)

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            self._training.step()

    def evaluations(self) -> Tensor:
        spent = self._training.oracle.evaluations.get("x", 0)
        return torch.as_tensor(spent).expand(len(self._population))

    def iterates(self) -> Tensor:
        return joined(self._population.point(), self._population.players)

    def averages(self) -> Tensor:
        """A member that has just restarted stands on its old average, which is its iterate."""
        average = self._training.averages["uniform"]
        count = torch.as_tensor(average.count).expand(len(self._population))
        if not count.any():
            return self.iterates()
        mean = joined(average.point(), self._population.players)
        return torch.where((count == 0)[:, None], self.iterates(), mean)


def _training(population: Population, method: Method) -> Training:
    source = PopulationSource.of(lambda seed: IndexSource(N, seed=seed), population.seeds)
    oracle = SVRG(source, batch=1, schedule="svre") if method.variance_reduced else Stochastic(source, batch=1)
    rule = Alternating(("x", "y")) if method.alternating else Extragradient()
    optimizers = {name: method.base(population.parameters(name), lr=STEP_SIZE) for name in population.players}
    when = "step" if method.alternating else "snapshot"
    average = UniformAverage(restart=method.restart, restart_at=when)
    return Training(population, oracle, rule, optimizers, averages={"uniform": average})


def _distances(w: Tensor, solution: Tensor) -> list[float]:
    """||x - x*|| + ||y - y*|| of every member."""
    x, y = (w - solution).chunk(2, dim=1)
    return (x.norm(dim=1) + y.norm(dim=1)).tolist()


# ---- the study ---------------------------------------------------------------------------------------------------


def cells(scale: str) -> list[Cell]:
    passes, repetitions = PASSES[scale], REPETITIONS[scale]
    made = []
    for game, (name, method) in product(range(GAMES[scale]), METHODS.items()):
        iterations = passes * N // method.evaluations
        each = 5.0 if method.variance_reduced else float(method.evaluations)
        settings = {"method": name, "game": game, "repetitions": repetitions, "budget": passes, "every": 10}
        cost = 2 * each * iterations * repetitions
        seconds = SECONDS_PER_LANE_ITERATION if method.plain_svre else SECONDS_PER_ITERATION
        made.append(Cell(f"{__name__}:played", settings, evaluations=cost, seconds=seconds * iterations))
    return made


def claims(scale: str) -> list[Claim]:
    """The order of the curves, and each curve's published mean inside the 90 % band of our means at the last mark."""
    passes = PASSES[scale]
    made = [
        Claim(
            name="P2.2 order",
            statement="the nine curves end in the published order, up to one exchange of neighbours (Kendall's tau)",
            statistic=Bootstrap(
                per_seed=final_medians, summary=order_agreement, n=GAMES[scale], spread=0.1, by="game", resamples=500
            ),
            expected=above(1 - 2 * 1.5 / 36),
            assumed=1.0,
        )
    ]
    for name, curve in CURVES.items() if passes == MARKS[-1] else ():
        runs = GAMES[scale] * REPETITIONS[scale] // curve.runs
        made.append(
            Claim(
                name=f"P2.2 {name}",
                statement=f"{name}: the published mean at {MARKS[-1]} passes lies in the 90 % band of our means of "
                f"{curve.runs}",
                statistic=Bootstrap(
                    per_seed=_final_mean(curve.read),
                    summary=_rank_of(curve.published[-1]),
                    n=runs,
                    spread=0.5,
                    by="group" if curve.runs == RUNS_PER_MEAN else "run",
                    where={"method": curve.method, "plotted": MARKS[-1]},
                ),
                expected=within(0.45, of=0.5),
                assumed=0.5,
            )
        )
    return made


def final_medians(table: Table) -> list[float]:
    """The medians over repetitions of the log distances of the nine curves at the last mark, on one game."""
    last = table.where(plotted=table["plotted"].max())
    return [float(np.median(np.log(last.where(method=c.method)[c.read]))) for c in CURVES.values()]


def order_agreement(medians: np.ndarray) -> float:
    """Kendall's tau between the curves' median ends and the published ones."""
    from scipy.stats import kendalltau

    agreement: Any = kendalltau(medians.mean(0), [curve.published[-1] for curve in CURVES.values()])
    return float(agreement.statistic)


def _final_mean(read: str) -> Callable[[Table], float]:
    return lambda rows: float(rows[read].mean())


def _rank_of(value: float) -> Callable[[np.ndarray], float]:
    """The share of our means that lie below a published one."""
    return lambda means: float(np.mean(means < value))


def draw(table: Table) -> Any:
    """Medians with their 95 % interval (dark) and the 5 % to 95 % band over repetitions (light), on both cost axes.

    The published means are points.
    """
    figure, panels = canvas(2, height=5.2, sharey=True)
    for k, (name, curve) in enumerate(CURVES.items()):
        colour = (*COLOURS, "#999999", "#7F3C8D")[k]
        rows = table.where(method=curve.method)
        marks = np.unique(rows["plotted"])
        values = _by_game(rows, curve.read)
        low, middle, high = np.quantile(values, (0.05, 0.5, 0.95), axis=(1, 2))
        interval = median_interval(values)
        true = np.array([np.median(rows.where(plotted=mark)["passes"]) for mark in marks])
        for panel, cost in zip(panels, (marks, true), strict=True):
            panel.plot(cost, middle, color=colour, linewidth=1.0, label=name)
            panel.fill_between(cost, low, high, color=colour, alpha=0.12, linewidth=0)
            panel.fill_between(cost, *interval, color=colour, alpha=0.4, linewidth=0)
            panel.set_yscale("log")
        shown = [(mark, value) for mark, value in zip(MARKS, curve.published, strict=True) if mark <= marks[-1]]
        panels[0].plot([m for m, _ in shown], [v for _, v in shown], "o", color=colour, markersize=3.5)
    panels[0].set(xlabel="passes as plotted in the paper", ylabel="||x - x*|| + ||y - y*||", ylim=(1e-8, 1e9))
    panels[1].set(xlabel="passes in gradient evaluations, snapshots included")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _by_game(rows: Table, read: str) -> np.ndarray:
    """The distances as (marks, games, repetitions)."""
    marks, repetitions = len(np.unique(rows["plotted"])), len(np.unique(rows["run"])) // len(np.unique(rows["game"]))
    order = np.lexsort([rows["run"], rows["plotted"]])
    return rows[read][order].reshape(marks, -1, repetitions)
