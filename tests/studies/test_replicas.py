"""The short way equals the long one."""

from __future__ import annotations

import pytest
import torch

from manypaths import SVRG, Extragradient, Population, Training, UniformAverage
from manypaths.analytic import Coordinatewise
from manypaths.populations import PopulationSource
from manypaths.sources import IndexSource
from manypaths.studies.bilinear_figure4.replicas import SvreReplicas

SEEDS = (3, 4, 11, 12, 13)


@pytest.mark.parametrize("restart", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("rotation", [0.6, 1.0])
def test_lanes_move_as_a_population_does(rotation, restart) -> None:
    game = Coordinatewise(20, rotation=rotation)
    population = Population([game] * len(SEEDS), seeds=SEEDS)
    source = PopulationSource.of(lambda seed: IndexSource(game.size, seed=seed), SEEDS)
    optimizers = {name: torch.optim.SGD(population.parameters(name), lr=0.3) for name in population.players}
    oracle, average = SVRG(source, batch=1, schedule="svre"), UniformAverage(restart=restart)
    training = Training(population, oracle, Extragradient(), optimizers, averages=average)
    replicas = SvreReplicas(game, SEEDS, lr=0.3, restart=restart)
    for steps in (1, 6, 300):
        for _ in range(steps):
            training.step()
        replicas.advance(steps)
        w = torch.cat([population.parameters(name)[0].detach() for name in population.players], dim=1)
        assert (torch.from_numpy(replicas.iterates()) - w).abs().max() < 1e-10
        mean = torch.cat([average.point()[name][0] for name in population.players], dim=1)
        fresh = torch.as_tensor(average.count).expand(len(SEEDS)) == 0
        assert (torch.from_numpy(replicas.averages()) - torch.where(fresh[:, None], w, mean)).abs().max() < 1e-10
        assert replicas.evaluations.tolist() == torch.as_tensor(oracle.evaluations["x"]).expand(len(SEEDS)).tolist()
