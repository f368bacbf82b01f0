"""Recipes: every one is consistent, and the warm start is one."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.recipes import RECIPES
from manypaths.run.evaluation import evaluated, generate
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_checked_and_survives_plain_data(name) -> None:
    recipe = RECIPES[name]()
    recipe.check()
    assert Recipe.from_plain(recipe.to_plain()) == recipe
    assert recipe.name == name or name == "mnist-adam", "an alias keeps the name of what it stands for"


def test_papers_settings_of_mnist() -> None:
    svre, se_a = (RECIPES[name]().to_plain() for name in ("mnist-svre", "mnist-se-a"))
    assert svre["oracle"]["batch"] == 50
    assert svre["oracle"]["schedule"] == "svre"
    assert svre["optimizers"]["critic"]["name"] == "sgd"
    assert svre["optimizers"]["critic"]["lr"] == 1e-2
    assert svre["averages"]["uniform"]["restart"] == 0.1
    assert se_a["optimizers"]["generator"]["lr"] == 1e-4
    assert svre["source"]["pixels"] == "unit"


SECOND_PAPER = [n for n in RECIPES if n.startswith(("mnist-", "svhn-", "imagenet-")) or n.endswith(("-se-a", "-svre"))]


@pytest.mark.parametrize("name", [n for n in SECOND_PAPER if not n.startswith("digits")])
def test_the_second_papers_gans_play_extragradient_as_its_authors_code_does(name) -> None:
    rule = RECIPES[name]().to_plain()["rule"]
    assert rule["name"] == "alternating" or (rule["name"], rule["at"]) == ("extragradient", "opponent")


def test_a_warm_start_begins_where_another_run_ended(tmp_path) -> None:
    base = RECIPES["digits-adam"]().with_({"steps": 3, "samples_every": 0})
    first = Run(base, tmp_path / "first")
    first.train()
    warm = RECIPES["digits-svre"]().with_({"start_from": str(tmp_path / "first"), "steps": 2, "samples_every": 0})
    second = Run(warm, tmp_path / "second")
    for player in first.training.game.players:
        for a, b in zip(*(r.training.game.parameters(player) for r in (first, second)), strict=True):
            assert torch.equal(a, b)
    second.train()
    resumed = Run(warm.with_({"steps": 3}), tmp_path / "second", resume=True)
    assert resumed.training.steps == 2
    third = warm.with_({"seed": 1})
    Run(third, tmp_path / "killed")  # before its first checkpoint
    again = Run(third, tmp_path / "killed", resume=True)
    for a, b in zip(*(r.training.game.parameters("critic") for r in (first, again)), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(InvalidValue, match="holds no checkpoint: expected a run directory"):
        Run(warm.with_({"start_from": str(tmp_path / "none")}), tmp_path / "third")
    with pytest.raises(InvalidType, match="are other ones than this recipe's"):
        Run(warm.with_({"game.critic.hidden": "32,32"}), tmp_path / "third")
    assert not (tmp_path / "third").exists()


def test_the_published_form_is_the_authors_code_and_says_what_it_mixes(tmp_path) -> None:
    small = {"data": "digits", "game.generator.size": 8, "game.critic.size": 8, "game.generator.width": 4}
    recipe = RECIPES["mnist-svre-published"]().with_({**small, "game.critic.width": 4, "steps": 2, "net": None})
    plain = recipe.to_plain()
    assert (plain["oracle"]["components"], plain["oracle"]["chunk"], plain["evaluate_mode"]) == ("mixed", 500, "train")
    training = recipe.build()
    assert training.notes[0] == "the full pass is in batches of 500, the estimate is of batches of 50"
    training.step()
    assert "evaluate_mode" not in RECIPES["mnist-svre"]().to_plain()


def test_scores_in_training_mode_normalise_with_the_batchs_own_statistics() -> None:
    training = (
        RECIPES["mnist-svre"]()
        .with_({"data": "digits", "game.generator.size": 8, "game.critic.size": 8, "game.generator.width": 4})
        .with_({"game.critic.width": 4})
        .build()
    )
    given = [torch.randn(100, 128, generator=torch.Generator().manual_seed(0))]
    before = [b.clone() for b in training.game.buffers()]
    with evaluated(training, mode="train") as generator:
        assert generator.training
        images = generate(generator, given, chunk=100)
    with torch.no_grad():
        assert torch.equal(images, training.game.players["generator"](given[0]))  # it trains in that mode
    with evaluated(training) as generator:
        assert not generator.training
        assert not torch.equal(images, generate(generator, given))
    for b, saved in zip(training.game.buffers(), before, strict=True):
        assert b.shape == saved.shape
