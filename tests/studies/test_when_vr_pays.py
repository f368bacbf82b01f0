"""P2.9: curves and prices by hand, a cell cut short, methods at one budget, advice, every verdict both ways."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from manypaths.experiments.figures import house_style, png
from manypaths.experiments.tables import Table
from manypaths.files import write_atomically
from manypaths.games.adversarial import PLAYERS
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe
from manypaths.studies.when_vr_pays import results, runs
from manypaths.studies.when_vr_pays.advice import advice
from manypaths.studies.when_vr_pays.runs import ARMS, BASE, PLAIN, RACES, SETTINGS, Setting
from manypaths.studies.when_vr_pays.study import SIZES, SLOW, study

# ---- cells -------------------------------------------------------------------------------------------------------

TINY = replace(SIZES["smoke"], generator=2, critic=2, ages=(2, 6))


def settings_of(setting: Setting, **marks: int) -> dict:
    measured = {"marks": marks, "ages": list(TINY.ages), "draws": 3}
    return {"recipe": runs.recipe(setting, TINY, seed=1).to_plain(), **measured}


def test_measuring_at_one_mark_does_not_change_the_next(tmp_path) -> None:
    both = Table(runs.ages(settings_of(PLAIN, early=1, late=4), tmp_path / "both"))
    late = Table(runs.ages(settings_of(PLAIN, late=4), tmp_path / "late"))
    assert both["phase"].tolist().count("early") == len(late)
    assert np.array_equal(both.where(phase="late")["ratio"], late["ratio"])
    assert set(both["layer"]) == {"all", "layers.0", "layers.2", "layers.4"}
    assert set(both["age"]) == {2, 6}
    critic = both.where(player="critic", phase="early", layer="all")
    assert (critic["ratio"] > 0).all()


def test_a_cell_that_was_cut_short_measures_what_the_whole_one_does(tmp_path) -> None:
    settings = settings_of(BASE, early=2, late=4)
    whole = runs.ages(settings, tmp_path / "whole")
    kept = (tmp_path / "whole" / "early.json").read_text()
    write_atomically(tmp_path / "cut" / "early.json", kept)
    recipe = Recipe.from_plain(settings["recipe"])
    begun = Run(replace(recipe, steps=2), tmp_path / "cut" / "run")
    begun.train()
    begun.step()  # lost
    again = runs.ages(settings, tmp_path / "cut")
    assert again == whole


def test_a_run_that_diverges_has_no_ratios(tmp_path) -> None:
    found = Table(runs.ages(settings_of(Setting(lr=1e30), early=1, late=4), tmp_path))
    late = found.where(phase="late", layer="all")
    assert len(late) == len(TINY.ages) * len(PLAYERS)
    assert np.isnan(late["ratio"]).all()


@pytest.mark.parametrize("arm", ["mini-batch", "adaptive-stored", "lookahead"])
def test_every_arm_ends_with_its_budget(arm, tmp_path) -> None:
    setting = Setting(batch=16)
    recipe = runs.raced(setting, arm, replace(TINY, budget=60, check_every=2), seed=0)
    found = Table(runs.race({"recipe": recipe.to_plain()}, tmp_path))
    step = ARMS[arm].cost + 12 + 8 + 2  # a whole refresh and the probes may come last
    spent = found["evaluations"][-1] / (16 * len(PLAYERS))
    assert 60 <= spent <= 60 + step
    assert np.isfinite(found["score"][-1])
    assert np.isfinite(found["ratio_critic"]).any() == ARMS[arm].reduces


def test_the_arms_differ_in_what_they_say_they_do() -> None:
    recipes = {arm: runs.raced(BASE, arm, SIZES["laptop"], seed=3) for arm in ARMS}
    svre = recipes["svre"]
    assert svre.oracle.settings["every"] == SIZES["laptop"].epoch(BASE) == 35
    differ = {arm: {line.partition(" is ")[0] for line in svre.differences(r)} for arm, r in recipes.items()}
    assert differ["svre"] == set()
    assert differ["adaptive"] == {"oracle.schedule", "oracle.every", "oracle.check_every"}
    assert differ["helps"] == {"oracle.when", "oracle.check_every"}
    assert differ["stored"] == {"oracle.store"}
    assert len({recipe.evaluations for recipe in recipes.values()}) == 1
    for recipe in recipes.values():
        recipe.check()


def test_every_setting_builds_and_has_a_name_of_its_own() -> None:
    assert len({str(setting) for setting in SETTINGS}) == len(SETTINGS) == 22
    assert str(BASE) == "base"
    assert str(replace(PLAIN, penalty="r1")) == "norm=none init=xavier penalty=r1"
    for setting in SETTINGS:
        training = runs.recipe(setting, TINY, seed=0).build()
        assert training.oracle.n_batches == TINY.epoch(setting)


# ---- what is read ------------------------------------------------------------------------------------------------


def test_crossings_and_prices_by_hand() -> None:
    ages = np.array([2.0, 4.0, 16.0])
    assert results.crossing(ages, np.array([0.25, 0.5, 2.0])) == pytest.approx(8.0, rel=1e-12)
    assert results.crossing(ages, np.array([1.5, 2.0, 2.0])) == 2.0
    assert results.crossing(ages, np.array([0.1, 0.2, 0.3])) == math.inf
    assert math.isnan(results.crossing(ages, np.array([0.1, 0.2, math.nan])))
    assert results.crossing(ages, np.array([0.5, 1.0, math.nan])) == pytest.approx(4.0)
    assert results.log2_at(ages, np.array([0.25, 0.5, 2.0]), 8.0) == pytest.approx(0.0, abs=1e-12)
    ratios = np.array([0.5, 1.0])  # means up to there: 0.25 and 0.5
    assert results.price(ages[:2], ratios, 8.0) == pytest.approx([0.25 * 6 * 7 / 2, 0.5 * 4 * 7 / 4])
    assert results.price(ages[:2], ratios, 8.0, evaluations=1) == pytest.approx([0.25 * 5 * 7 / 3, 0.5 * 3 * 7 / 5])
    assert results.price(ages[:2], ratios, 4.0)[0] == math.inf, "as many evaluations as the whole sum has"


def test_means_without_replacement_have_the_variance_that_the_price_says() -> None:
    n, k = 7, 3
    values = np.random.default_rng(0).normal(size=n)
    means = [np.mean(chosen) for chosen in itertools.combinations(values, k)]
    assert np.var(means) == pytest.approx(np.var(values) * (n - k) / (k * (n - 1)), rel=1e-12)


def test_what_a_seed_says_by_hand() -> None:
    ratios = {2: 0.25, 4: 0.5, 16: 2.0}
    rows = Table(
        {
            "epoch": 8.0,
            "player": "critic",
            "phase": "late",
            "layer": "all",
            "age": list(ratios),
            "ratio": list(ratios.values()),
        }
    )
    assert results.largest("critic", "late")(rows) == pytest.approx(0.0, abs=1e-12)
    assert results.best_price("critic", "late")(rows) == pytest.approx(math.log2(1.75))
    run = {"state": "finished", "step": [1.0, 2.0, 3.0]}
    arms = [
        Table({"arm": "svre", **run, "score": [3.0, math.nan, 2.0], "ratio_critic": 0.5, "ratio_generator": 1.5}),
        Table({"arm": "helps", **run, "score": [9.0, 1.0, math.nan], "ratio_critic": math.nan, "ratio_generator": 0.1}),
        Table(
            {"arm": "both", **(run | {"state": "diverged"}), "score": 1.0, "ratio_critic": 1.0, "ratio_generator": 1.0}
        ),
    ]
    table = Table.concatenate(arms)
    assert results.gain("helps", "svre")(table) == pytest.approx(math.log(1.0 / 2.0))
    assert results.gain("both", "svre")(table) == math.inf
    assert results.gain("both", "both")(table) == 0.0
    assert results.mean_ratio("svre")(table) == 1.5
    assert results.mean_ratio("svre", "critic")(table) == 0.5


# ---- verdicts ----------------------------------------------------------------------------------------------------


@cache
def made_up(right: bool) -> Table:
    """A laptop's results, up to noise: what the claims say, or the opposite."""
    size, rng, tables = SIZES["laptop"], np.random.default_rng(0), []
    after_an_epoch = {BASE: 4.0, SLOW: 0.5, PLAIN: 0.1} if right else {BASE: 0.1, SLOW: 0.5, PLAIN: 4.0}
    ages = np.array(size.ages, dtype=float)
    for cell in study().at("laptop").cells:
        labels = {"function": cell.name, **cell.columns}
        if cell.name == "ages":
            setting = next(setting for setting in SETTINGS if str(setting) == labels["setting"])
            level = after_an_epoch.get(setting, 1.0)
            for phase, player, layer in ((a, b, c) for a in size.marks for b in PLAYERS for c in ("all", "layers.0")):
                ratio = level * ages / labels["epoch"] * np.exp(rng.normal(0, 0.05))
                column = {"phase": phase, "player": player, "layer": layer, "age": ages, "ratio": ratio}
                tables.append(Table(column).with_columns(labels))
        else:
            order = ["adaptive-stored", "both", "adaptive", "helps", "svre", "mini-batch"]
            place = order.index(labels["arm"]) if labels["arm"] in order else len(order)
            ratio = 3.0 if (labels["arm"] == "svre") == right else 0.5
            score = np.exp((1 if right else -1) * place * 0.2 + rng.normal(0, 0.02))
            course = {"step": [1.0, 2.0], "evaluations": [5.0, 9.0], "score": [2.0, score], "state": "finished"}
            ratios = {f"ratio_{player}": [ratio, ratio * np.exp(rng.normal(0, 0.1))] for player in PLAYERS}
            tables.append(Table({**course, **ratios}).with_columns(labels))
    return Table.concatenate(tables)


def test_every_verdict_flips() -> None:
    claims = study().at("laptop").claims
    assert {claim.name: claim.judge(made_up(True)).ruling for claim in claims} == {c.name: "holds" for c in claims}
    assert {claim.negated().judge(made_up(True)).ruling for claim in claims} == {"does not hold"}
    found = {claim.name: claim.judge(made_up(False)).ruling for claim in claims}
    assert found == {c.name: "does not hold" for c in claims}


def test_a_diverged_seed_decides_against_its_arm() -> None:
    rows = {name: column.copy() for name, column in ((n, made_up(True)[n]) for n in made_up(True).names)}
    lost = (rows["arm"] == "svre") & (rows["setting"] == "base") & (rows["seed"] == 0)
    rows["state"][lost] = "diverged"
    claims = {claim.name: claim for claim in study().at("laptop").claims}
    assert claims["P2.9 score, SVRE / plain SE, BatchNorm"].judge(Table(rows)).ruling == "undecided"
    assert claims["P2.9 score, SVRE, adaptive refresh / SVRE, BatchNorm"].judge(Table(rows)).ruling == "holds"


def test_the_advice_follows_from_the_results() -> None:
    page = advice(made_up(True)).splitlines()
    base = next(line for line in page if line.startswith("| base |"))
    plain = next(line for line in page if line.startswith("| norm=none init=xavier |"))
    assert base.split(" | ")[1:3] == ["35", "9, 9"]
    assert plain.split(" | ")[2] == "> 160, > 160"
    assert re.search(r"\| reduce: a snapshot every (4|10) mini-batches, or `schedule=\"adaptive\"` \|", plain)
    assert base.endswith("| do not: take larger mini-batches |")
    assert len([line for line in page if line.startswith("| BatchNorm |")]) == len(ARMS)
    (svre,) = [line for line in page if line.startswith("| BatchNorm | SVRE |")]
    assert float(svre.split(" | ")[4].partition(",")[0]) == pytest.approx(3.0, rel=0.1)
    assert "| 0 of 6 |" in svre
    assert sum(line.startswith("| no normalisation, Adam |") for line in page) == len(runs.raced_arms(list(RACES)[1]))


def test_figures_are_drawn() -> None:
    with house_style():
        for name, draw in study().figures.items():
            assert png(draw(made_up(True))).startswith(b"\x89PNG"), name
