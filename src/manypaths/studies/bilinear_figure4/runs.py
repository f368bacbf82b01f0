"""The methods of SVRE's Figure 4, each played many times side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from manypaths.experiments.cells import versioned
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
        """Whether ``SvreReplicas`` plays it."""
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


@versioned(2, name="manypaths.studies.bilinear_figure4.study:played")
def played(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """All repetitions of one method on one draw of the game, a row per repetition and mark; no two share a seed."""
    method, every, count = METHODS[settings["method"]], settings["every"], settings["repetitions"]
    seeds = tuple(range(settings["game"] * count, (settings["game"] + 1) * count))
    game = Coordinatewise(N, seed=settings["game"])
    stack = (_Replicas if method.plain_svre else _Members)(game, method, seeds)
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


class _Replicas:
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
