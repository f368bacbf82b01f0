"""Who uses a name of before is told in one line what it is called now; what was computed under it stays valid."""

from __future__ import annotations

import json

import pytest

import manypaths
from manypaths import Recipe, Spec
from manypaths.errors import InputError, InvalidValue
from manypaths.former_names import CLASSES, former
from manypaths.recipes import RECIPES

SETTINGS = {
    "bases.critic.lr": "unknown setting 'bases.critic.lr': it is called 'optimizers.critic.lr' now",
    "rule.keep_half": "unknown setting of rule: 'keep_half': it is called 'keep_extrapolated' now",
    "execution.lanes": "unknown setting of execution: 'lanes': it is called 'concurrent' now",
    "oracle.refresh": "unknown setting of oracle: 'refresh': it is called 'schedule' now",
    "oracle.summands": "unknown setting of oracle: 'summands': it is called 'components' now",
}
ENTRIES = {
    "oracle=full": "unknown oracle 'full': it is called 'full-batch' now",
    "game.penalties=interpolated": "unknown penalty 'interpolated': it is called 'gradient-penalty' now",
    "game.projection=clip": "unknown projection 'clip': it is called 'weight-clipping' now",
}


@pytest.mark.parametrize("path", SETTINGS)
def test_settings(path) -> None:
    with pytest.raises(InvalidValue) as caught:
        RECIPES["digits-svre"]().with_({path: "1"})
    assert str(caught.value) == SETTINGS[path]


@pytest.mark.parametrize("setting", ENTRIES)
def test_entries_of_tables(setting) -> None:
    path, _, value = setting.partition("=")
    with pytest.raises(InvalidValue) as caught:
        RECIPES["digits-svre"]().with_({path: value})
    assert str(caught.value) == ENTRIES[setting]


@pytest.mark.parametrize("name", CLASSES)
def test_classes_of_the_package(name) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{name}': it is called '{CLASSES[name]}' now"):
        getattr(manypaths, name)
    with pytest.raises(ImportError, match=name):
        exec(f"from manypaths import {name}")


def recipe_of_before() -> dict:
    """The digits' recipe as it was written before the names changed."""
    return former(RECIPES["digits-adam"]().to_plain())


def test_a_recipe_of_before_says_its_first_name(tmp_path) -> None:
    plain = recipe_of_before()
    assert "bases" in plain
    assert plain["game"]["penalties"][0]["name"] == "r1"
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(plain))
    with pytest.raises(InputError, match="unknown setting 'bases': it is called 'optimizers' now"):
        Recipe.read(path)


@pytest.mark.parametrize("command", [["run", "DIR", "--resume"], ["evaluate", "DIR"], ["run", "DIR/recipe.json"]])
def test_a_run_of_before_is_answered_in_one_line(command, tmp_path, monkeypatch, capsys) -> None:
    from manypaths.cli import main

    home = tmp_path / "run"
    home.mkdir()
    (home / "recipe.json").write_text(json.dumps(recipe_of_before()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["manypaths", *(word.replace("DIR", str(home)) for word in command)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("unknown setting 'bases': it is called 'optimizers' now")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["recipe.json", "run"], "nothing is half-written"


def test_addresses_of_before_stay() -> None:
    from manypaths.oracles.svrg import SVRG

    now = Spec(SVRG, schedule="svre", components="batches").to_plain()
    then = former(now)
    assert (then["refresh"], then["summands"]) == ("svre", "batches")
    assert "schedule" not in then
