"""Optimisers of a recipe: what cannot train is said before anything is built, and Muon is a name."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.optim.muon import MuonAdamW
from manypaths.run.loop import Run
from manypaths.specs import Spec


@pytest.mark.parametrize("lr", ["inf", "-inf", "nan", float("inf")])
def test_a_rate_that_is_no_finite_number_is_refused(tiny, lr) -> None:
    with pytest.raises(InvalidValue, match=r"lr is (-inf|inf|nan): expected a finite number"):
        tiny.with_({"optimizers.critic.lr": lr})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (torch.optim.SparseAdam, "the optimiser of 'critic' is SparseAdam, which takes sparse gradients alone"),
        (torch.optim.LBFGS, "the optimiser of 'critic' is LBFGS, whose step evaluates losses itself"),
        (torch.optim.Muon, "Muon only supports 2D parameters.*; expected 'muon', which leaves the other weights to"),
    ],
)
def test_optimisers_that_cannot_train_a_player_are_refused_before_anything_is_built(tiny, target, message) -> None:
    recipe = tiny.with_({"optimizers.critic": Spec(target)})
    with pytest.raises((InvalidType, InvalidValue), match=message):
        recipe.check()


def test_muon_trains_a_recipe_and_resumes_bit_for_bit(tiny, tmp_path) -> None:
    networks = {
        "game.generator": Spec(MlpGenerator, latent=4, shape=(1, 8, 8), hidden=(8,), bounded=True),
        "game.critic": Spec(MlpCritic, shape=(1, 8, 8), hidden=(8,)),
    }
    with pytest.raises(InvalidValue, match="optimizers.generator: no weight has two dimensions, which Muon is for"):
        tiny.with_({"optimizers.generator": "muon"}).build()
    changes = {
        **networks,
        "optimizers.generator": "muon",
        "optimizers.generator.lr": "1e-2",
        "noise_every": 0,
        "samples_every": 0,
    }
    recipe = tiny.with_({**changes, "steps": 4})
    whole = Run(recipe, tmp_path / "whole")
    whole.train()
    assert isinstance(whole.training.optimizers["generator"], MuonAdamW)
    Run(recipe.with_({"steps": 2}), tmp_path / "r").train()
    part = Run(recipe, tmp_path / "r", resume=True)
    part.train()
    pairs = zip(whole.training.game.point()["generator"], part.training.game.point()["generator"], strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
