"""Minimisation turned into a game: what noise does to each, in formulas, by enumeration and over drawn steps.

``Coordinatewise`` turns the same finite sum from a minimisation (rotation 0, both players descend 1/2 x'A_i x) into
the bilinear game x'A_i y (rotation 1). With z_j = x_j + i y_j its fields are F_i(z) = u z_i e_i + o_i, where u is the
number of modulus 1 at the angle -pi/2 rotation: the component functions see the same coordinates, and F_i at the
solution, the noise there, does not depend on u at all. With one sample per evaluation, c = Re u and e = z - z*,

    E||e_{t+1}||^2 = (1 + g) ||e_t||^2 + k s^2 + terms linear in e_t,    s^2 = 1/n sum_i ||F_i(z*)||^2,

    gradient step              g = (eta^2 - 2 c eta) / n                          k = eta^2
    extragradient, two samples g = (1 - 1/n) (eta^2 - 2 c eta) / n                k = eta^2 (1 + eta^2 / n)
                                 + (|1 - eta u + eta^2 u^2|^2 - 1) / n^2

from every point: each coordinate has the same factor. Noise enters at the same rate k s^2 in every game of the family,
and the sign of g alone decides whether it is damped or amplified.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manypaths.experiments.cells import versioned
from manypaths.games.analytic.coordinatewise import Coordinatewise
from manypaths.oracles.stochastic import Stochastic
from manypaths.populations.population import Population
from manypaths.populations.source import MemberSamples, PopulationSource
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import Index, IndexSource, Source
from manypaths.training import Training

RULES = {"extragradient": Extragradient, "simultaneous": Simultaneous}
DRAWS = {"extragradient": 2, "simultaneous": 1}
"""Samples per step."""
GROUP = 20
"""Runs whose mean is one row: ||w_T||^2 has a long tail, and means of 20 have less of one."""


# ---- what is predicted -------------------------------------------------------------------------------------------


def predicted(rule: str, n: Any, eta: Any, rotation: Any) -> Any:
    """g, the mean growth of ||w - w*||^2 in one step without additive noise; works on arrays."""
    angle = np.pi / 2 * np.asarray(rotation)
    c, u = np.cos(angle), np.exp(-1j * angle)
    single = eta**2 - 2 * eta * c
    if rule == "simultaneous":
        return single / n
    both = np.abs(1 - eta * u + (eta * u) ** 2) ** 2 - 1
    return (1 - 1 / n) * single / n + both / n**2


def entering(rule: str, n: int, eta: float) -> float:
    """k, the squared distance from the solution after one step from there, over s^2: the same at every rotation."""
    return eta**2 * (1 + eta**2 / n) if rule == "extragradient" else eta**2


def flip(rule: str, n: int, eta: float) -> float:
    """The rotation at which g = 0: c = eta / 2, or the smaller root of a quadratic that tends to it with n."""
    if rule == "simultaneous":
        c = eta / 2
    else:
        middle, last = n + eta**2, eta * (n - 2 + eta**2)
        c = last / (middle + (middle**2 - 4 * eta * last) ** 0.5)
    return float(1 - 2 / np.pi * np.arcsin(c))


def expected_ratio(row: Mapping[str, Any]) -> float:
    """The mean of ``drawn``'s ratio: (1 + g)^T, or ((1 + g)^T - 1) / (g T) where noise enters in each of T steps."""
    g, steps = float(predicted(row["rule"], row["n"], row["eta"], row["rotation"])), row["steps"]
    return ((1 + g) ** steps - 1) / (g * steps) if row["noise"] else (1 + g) ** steps


# ---- what is computed --------------------------------------------------------------------------------------------


class Scripts(Source):
    """Plays given indices instead of drawing them: member i's are row i of ``scripts``, (members, draws)."""

    def __init__(self, size: int, scripts: Tensor):
        self.size, self.scripts, self._played = size, scripts, 0

    def sample(self, n: int) -> MemberSamples:
        self._played += n
        return MemberSamples(Index, {"index": self.scripts[:, self._played - n : self._played]})

    def state_dict(self) -> dict[str, Any]:
        return {"played": self._played}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._played = state["played"]


@versioned(1)
def enumerated(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """One step over every draw there is, for each of the rotations, and the rotation at which the growth is 0.

    ``growth``: of ||w||^2 from a generic w, no additive noise. ``entered``: the mean of ||w - w*||^2 / (k s^2) after a
    step from w*, with additive noise.
    """
    from scipy.optimize import brentq

    rule, n, eta = settings["rule"], settings["n"], settings["eta"]
    rotations = np.linspace(0, 1, settings["rotations"])

    def growth(rotation: float) -> float:
        game = Coordinatewise(n, rotation=rotation, noise=False)
        return _mean_after_a_step(rule, game, eta) / float(game.start.square().sum()) - 1

    def entered(rotation: float) -> float:
        game = Coordinatewise(n, rotation=rotation)
        _move_to_solution(game)
        return _mean_after_a_step(rule, game, eta) / (entering(rule, n, eta) * noise_at_solution(game))

    return {
        "rotation": rotations,
        "growth": [growth(rotation) for rotation in rotations],
        "entered": [entered(rotation) for rotation in rotations],
        "flip": brentq(growth, 0.0, 1.0, xtol=1e-12),
    }


@versioned(2)
def drawn(settings: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
    """Runs that draw their samples; a row per group of runs, with the mean over the group of

    ||w_T||^2 / ||w_0||^2 without additive noise, and with it, from the solution, ||w_T - w*||^2 / (T k s^2): what is
    there over what has entered.
    """
    rule, n, eta, steps = (settings[name] for name in ("rule", "n", "eta", "steps"))
    game = Coordinatewise(n, rotation=settings["rotation"], noise=settings["noise"], seed=settings["game"])
    unit = float(game.start.square().sum())
    if settings["noise"]:
        _move_to_solution(game)
        unit = steps * entering(rule, n, eta) * noise_at_solution(game)
    runs = settings["groups"] * GROUP
    seeds = range(settings["game"] * runs, (settings["game"] + 1) * runs)  # no two games see the same draws
    source = PopulationSource.of(lambda seed: IndexSource(n, seed=seed), seeds)
    training = _training(rule, Population([game] * runs, seeds=seeds), source, eta)
    for _ in range(steps):
        training.step()
    ratios = _squared_distances(training, game.solution()).view(-1, GROUP).mean(1) / unit
    return {"group": np.arange(len(ratios)) + settings["game"] * len(ratios), "ratio": ratios.numpy()}


def _mean_after_a_step(rule: str, game: Coordinatewise, eta: float) -> float:
    """E||w' - w*||^2 after one step from the game's weights, over every sequence of samples it can draw."""
    scripts = torch.tensor(list(product(range(game.size), repeat=DRAWS[rule])))
    training = _training(rule, Population([game] * len(scripts)), Scripts(game.size, scripts), eta)
    training.step()
    return float(_squared_distances(training, game.solution()).mean())


def _training(rule: str, population: Population, source: Source, eta: float) -> Training:
    optimizers = {name: torch.optim.SGD(population.parameters(name), lr=eta) for name in population.players}
    return Training(population, Stochastic(source, batch=1), RULES[rule](), optimizers)


def _squared_distances(training: Training, solution: Tensor) -> Tensor:
    point = training.game.point()
    return (torch.cat([point["x"][0], point["y"][0]], 1) - solution).square().sum(1)


def noise_at_solution(game: Coordinatewise) -> float:
    """s^2 = 1/n sum_i ||F_i(w*)||^2."""
    components = torch.arange(game.size)[:, None]
    return float(game.field(game.solution().expand(game.size, -1), components).square().sum(1).mean())


def _move_to_solution(game: Coordinatewise) -> None:
    game.move_to({name: [part] for name, part in game.split(game.solution()).items()})
