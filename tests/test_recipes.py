"""Recipes: every one is consistent, and the warm start is one."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidType, InvalidValue
from manypaths.recipes import RECIPES
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
    assert svre["oracle"]["refresh"] == "svre"
    assert svre["bases"]["critic"]["name"] == "sgd"
    assert svre["bases"]["critic"]["lr"] == 1e-2
    assert svre["averages"]["uniform"]["restart"] == 0.1
    assert se_a["bases"]["generator"]["lr"] == 1e-4
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
