"""A loop of one's own hears once that a loss is NaN."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch.optim import SGD

from manypaths.games.adversarial import Adversarial
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.wasserstein import Wasserstein
from manypaths.oracles.stochastic import Stochastic
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.paired import PairedSource
from manypaths.training import Training


def training() -> Training:
    game = Adversarial(MlpGenerator(latent=3, hidden=(8,)), MlpCritic(hidden=(8,)), objective=Wasserstein())
    source = PairedSource.from_dataset(torch.randn(16, 2), latent=3)
    optimizers = {name: SGD(game.parameters(name), lr=1e-3) for name in game.players}
    found = Training(game, Stochastic(source, batch=4), Simultaneous(), optimizers)
    with torch.no_grad():
        game.parameters("critic")[0].fill_(float("nan"))
    return found


def test_a_loop_that_does_not_look_is_told_once() -> None:
    work = training()
    work.step()
    with pytest.warns(RuntimeWarning, match="after 1 steps the loss of critic is nan, and training goes on with it"):
        work.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        work.step()


def test_a_loop_that_looks_hears_nothing() -> None:
    work = training()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert work.non_finite(work.step()) == "the loss of critic is nan"
