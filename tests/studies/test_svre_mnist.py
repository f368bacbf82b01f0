"""P2.4, P2.7 on images: what the arms share, cost by counting, curves and effects by hand, every verdict both ways."""

from __future__ import annotations

import io
import itertools
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from manypaths.data.digits import Digits
from manypaths.experiments.engine import run_study
from manypaths.experiments.executor import InProcess
from manypaths.experiments.power import power
from manypaths.experiments.statistics import NotTested
from manypaths.experiments.tables import Table
from manypaths.metrics.feature_nets import FeatureNet
from manypaths.models.classifiers import DigitsCnn
from manypaths.recipes import mnist
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe
from manypaths.studies.find import find_study
from manypaths.studies.svre_mnist import results, runs, study
from manypaths.studies.svre_mnist.figures import draw_equal_cost, draw_factorial, draw_noise, draw_scores

LAPTOP, PAPER = study.SIZES["laptop"], study.SIZES["paper"]
SCORES = {"inception score", "frechet", "label entropy", "label total variation"}
NOISE = {f"{player} {part}" for player in mnist.PLAYERS for part in ("second moment", "variance", "squared mean")}


def tiny(name: str, *, steps: int = 4, seed: int = 0) -> Recipe:
    return runs.TINY.recipe(runs.ARMS[name], batch=8, steps=steps, every=2, seed=seed)


# ---- what is run -------------------------------------------------------------------------------------------------


def test_arms_of_the_factorial_differ_in_the_factor_alone() -> None:
    own = {0: "rule.", 1: "oracle.", 2: "optimizers."}
    assert sorted(runs.FACTORIAL) == list(itertools.product((0, 1), repeat=3))
    for levels, name in runs.FACTORIAL.items():
        for factor in (f for f in range(3) if not levels[f]):
            other = runs.FACTORIAL[tuple(1 if f == factor else level for f, level in enumerate(levels))]
            found = tiny(name).differences(tiny(other))
            assert found
            assert all(text.startswith((own[factor], "averages.uniform")) for text in found)
    restarts = [r.averages[runs.AVERAGED].settings["restart"] for r in map(tiny, ("AVG-SVRE", "SVRE"))]
    assert restarts == [0.0, 0.1]


def test_compared_arms_share_the_base_and_the_finite_game() -> None:
    reduced, full = map(tiny, study.TRACKED)
    assert all(text.startswith("oracle.") for text in reduced.differences(full))
    for name in runs.ARMS:
        assert all(t.startswith(("rule.", "oracle.", "optimizers.", "averages.")) for t in tiny(name).differences(full))
        if name.endswith("-A"):
            assert tiny(name).optimizers == reduced.optimizers
    assert full.source.settings["redraw"] == "never"


def test_the_scales_are_what_they_declare() -> None:
    cells = find_study("svre-mnist").at("laptop").cells
    recipe = Recipe.from_plain(cells[0].settings["recipe"])
    widths = [recipe.game.settings[player].settings["width"] for player in ("generator", "critic")]
    assert (widths, recipe.data.settings["limit"], recipe.net) == ([32, 16], 2000, "mnist-cnn")
    assert len(cells) == 3 * len(runs.ARMS)
    assert sum(cell.seconds for cell in cells) / 2 < 90 * 60
    for name in set(runs.ARMS) - {"BatchE-A"}:
        steps = LAPTOP.steps_of(name)
        assert steps >= 1000
        assert steps * runs.ARMS[name].cost(40) >= 2500
        assert steps == 1000 or (steps - 1) * runs.ARMS[name].cost(40) < 2500


def test_the_papers_scale_is_the_papers_own_recipes() -> None:
    cells = find_study("svre-mnist").at("paper").cells
    assert [cell.columns["arm"] for cell in cells] == ["SVRE"] * 3 + ["SE-A"] * 3
    for cell, published in ((cells[0], mnist.svre()), (cells[3], replace(mnist.se_a(), averages={}))):
        recipe = Recipe.from_plain(cell.settings["recipe"])
        assert recipe.differences(published) == []
        assert (recipe.steps, recipe.net, recipe.evaluate_samples) == (20_000, "mnist-mlp", 5000)


# ---- the cells ---------------------------------------------------------------------------------------------------


@pytest.fixture
def untrained(monkeypatch) -> None:
    """A net that nobody trained, a small reference, and no sample grids."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = FeatureNet("digits-cnn", DigitsCnn().eval().requires_grad_(False), 0.1, "abc")
    monkeypatch.setattr("manypaths.run.scoring.feature_net", lambda name: net)
    monkeypatch.setattr(Run, "draw_samples", lambda self: None)
    monkeypatch.setattr(Digits, "reference", lambda self: self)


@pytest.mark.parametrize("name", list(runs.ARMS))
def test_declared_costs_are_those_that_are_counted(name) -> None:
    """A step's questions exactly; what is left are full passes."""
    training, chosen, parts = tiny(name).build(), runs.ARMS[name], 8
    for _ in range(3):
        training.step()
    counted = training.oracle.evaluations["critic"] / 8
    assert training.oracle.evaluations["generator"] / 8 == counted
    if chosen.oracle in ("plain", "full"):
        assert counted == 3 * chosen.cost(parts)
    else:
        passes, rest = divmod(counted - 3 * (chosen.cost(parts) - 1), parts)
        assert (rest, passes >= 1) == (0, True)


def test_storing_takes_the_same_steps_at_a_lower_cost() -> None:
    trainings = [tiny(name).build() for name in ("SVRE-A", "stored-SVRE-A")]
    for training in trainings:
        for _ in range(3):
            training.step()
    evaluated, stored = ([p for weights in t.game.point().values() for p in weights] for t in trainings)
    assert all(torch.equal(one, other) for one, other in zip(evaluated, stored, strict=True))
    spent = [training.oracle.evaluations["critic"] for training in trainings]
    assert spent[0] - spent[1] == 3 * 2 * 8


def test_a_run_that_was_cut_short_ends_as_the_whole_one(untrained, tmp_path) -> None:
    recipe = tiny("AVG-SVRE")
    settings = {"recipe": recipe.to_plain(), "batch": 8}
    whole = runs.play(settings, tmp_path / "whole")
    ratios = {f"{player} {part}" for player in mnist.PLAYERS for part in ("ratio", "age")}
    averages = {f"average {name}" for name in SCORES}
    assert set(whole) == {"step", "cost", "seconds", "state"} | SCORES | averages | NOISE | ratios
    assert (whole["step"], whole["state"]) == ([2.0, 4.0], "finished")
    begun = Run(recipe, tmp_path / "cut" / "run")
    begun.save()
    begun.step()
    begun.step()
    begun.save()
    begun.step()  # lost
    assert not begun.directory.rows()
    again = runs.play(settings, tmp_path / "cut")
    assert again["step"] == [4.0]
    assert all(again[name][-1] == whole[name][-1] for name in set(whole) - {"seconds", "state", "step"})


def test_a_run_that_diverges_says_nothing(untrained, tmp_path) -> None:
    recipe = tiny("SE").with_({"optimizers.critic.lr": 1e30})
    found = Table(runs.play({"recipe": recipe.to_plain(), "batch": 8}, tmp_path)).with_columns({"seed": 0, "arm": "SE"})
    assert set(found["state"]) == {"diverged"}
    other = run("SE-A", [(2, 2.0)])
    both = Table.concatenate([found, other])
    assert results.information(results.arm(both, "SE"), "step", 4) == 0.0
    assert results.information(results.arm(both, "SE"), "cost", 99.0) == 0.0


def test_smoke_runs_every_arm(untrained, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(study.SIZES, "smoke", replace(study.SIZES["smoke"], seeds=1))
    plan = find_study("svre-mnist").at("smoke")
    found = run_study(plan, tmp_path / "s", executor=InProcess(), console=Console(file=io.StringIO()))
    assert (found.state, found.finished) == ("finished", len(runs.ARMS))
    assert {path.stem for path in (tmp_path / "s" / "figures").iterdir()} == set(plan.study.figures)
    assert {verdict.note for verdict in found.verdicts} == {""}
    table = Table.read(tmp_path / "s" / "table.parquet")
    assert set(table.names) >= SCORES | NOISE
    assert set(table["net"]) == {"digits-cnn"}
    full = table.where(arm="BatchE-A")
    assert np.allclose(full["critic variance"], 0.0, atol=1e-12)
    assert np.allclose(full["critic second moment"], full["critic squared mean"])


# ---- what is read ------------------------------------------------------------------------------------------------


def run(name: str, marks: list[tuple[float, float]], *, state: str = "finished", each: float = 2.0) -> Table:
    """One run's scores by update."""
    steps = [float(step) for step, _ in marks]
    cost = [step * each for step in steps]
    scores = [score for _, score in marks]
    return Table({"seed": 0, "arm": name, "step": steps, "cost": cost, results.SCORE: scores, "state": state})


def test_a_curve_is_read_between_its_marks() -> None:
    rows = run("SE", [(10, math.e), (20, math.nan), (30, math.e**3)])
    assert results.information(rows, "step", 10) == pytest.approx(1.0, abs=1e-12)
    assert results.information(rows, "step", 25) == pytest.approx(2.5, abs=1e-12)
    assert results.information(rows, "cost", 40) == pytest.approx(2.0, abs=1e-12)
    assert results.score_at("SE", 30)(rows) == pytest.approx(math.e**3)
    gone = run("SE", [(10, math.e), (20, math.nan)], state="diverged")
    assert [results.information(gone, "step", at) for at in (10, 11)] == pytest.approx([1.0, 0.0])
    with pytest.raises(NotTested, match="SVRE is not played at this scale"):
        results.lead("SE", "SVRE", "step", 10)(rows)


def of_effects(effects: dict[tuple[int, ...], float], mean: float) -> dict[str, float]:
    """The log scores of the eight arms that have these effects."""
    return {
        name: mean + sum(e * math.prod(2 * levels[f] - 1 for f in factors) for factors, e in effects.items()) / 2
        for levels, name in runs.FACTORIAL.items()
    }


def test_effects_are_those_that_made_the_arms() -> None:
    rng = np.random.default_rng(0)
    effects = dict(zip(results.EFFECTS, rng.normal(size=7), strict=True))
    arms = of_effects(effects, 3.0)
    rows = Table.concatenate(run(name, [(10, math.exp(value))]) for name, value in arms.items())
    for factors, value in effects.items():
        assert results.effect(factors, "step", 10)(rows) == pytest.approx(value, abs=1e-12)
    with_it = np.mean([arms[name] for levels, name in runs.FACTORIAL.items() if levels[1]])
    without = np.mean([arms[name] for levels, name in runs.FACTORIAL.items() if not levels[1]])
    assert effects[(1,)] == pytest.approx(with_it - without, abs=1e-12)
    assert results.effect_name((0, 1)) == "extragradient x variance reduction"


def test_gaps_are_of_means_over_seeds() -> None:
    values = np.array([[0.1, 0.5], [0.1, -0.9]])
    assert results.widest(values) == pytest.approx(0.2)
    assert results.highest(values) == pytest.approx(0.1)


# ---- verdicts ----------------------------------------------------------------------------------------------------


def played(size: study.Size, information, *, moments, ratio: float, full_costs: float = 1.0, noise: float = 0.01):
    """Made-up results of a scale: each arm's log score, second moment and variance ratio, the same at every mark."""
    rng, tables = np.random.default_rng(0), []
    for name, seed in itertools.product(size.arms, range(size.seeds)):
        every = 50 if name in study.TRACKED else size.every
        steps = np.arange(every, size.steps_of(name) + 1, every, dtype=float)
        cost = steps * runs.ARMS[name].cost(size.parts) * (full_costs if name == "BatchE-A" else 1.0)
        level = information[name] + rng.normal(0, noise)
        noises = {}
        for player in mnist.PLAYERS:
            moment = moments.get(name, 1.0) * np.exp(rng.normal(0, 0.02))
            noises[f"{player} second moment"] = noises[f"{player} variance"] = moment
            noises[f"{player} squared mean"] = 0.0
            noises[f"{player} ratio"] = ratio + rng.normal(0, 0.01)
        scores = {results.SCORE: np.exp(level), f"average {results.SCORE}": np.exp(level)}
        labels = {"arm": name, "seed": seed, "net": size.setup.net, "state": "finished"}
        marks = {"equal_steps": size.steps, "equal_cost": size.cost, "step": steps, "cost": cost, "seconds": cost / 50}
        tables.append(Table({**labels, **marks, **scores, **noises}))
    return Table.concatenate(tables)


def arms(effects: dict[tuple[int, ...], float], mean: float, others: dict[str, float]) -> dict[str, float]:
    return {**dict.fromkeys(runs.ARMS, 1.0), **of_effects(effects, mean), **others}


REDUCED = {"SVRE": 0.1, "SVRE-A": 0.1}


def right() -> Table:
    effects = dict.fromkeys(results.EFFECTS, 0.0) | {(0,): 0.3, (1,): 0.4, (2,): 0.2}
    found = arms(effects, 1.3, {"stored-SVRE-A": 2.0})
    return played(LAPTOP, {**found, "BatchE-A": found["SVRE-A"]}, moments=REDUCED, ratio=0.5)


def wrong() -> Table:
    effects = dict.fromkeys(results.EFFECTS, -0.5) | dict.fromkeys(results.EFFECTS[:3], -0.4)
    found = arms(effects, 2.0, {"stored-SVRE-A": 0.1, "BatchE-A": 0.1})
    return played(LAPTOP, found, moments={}, ratio=1.5, full_costs=0.05)


def test_every_verdict_flips() -> None:
    claims = {claim.name: claim for claim in find_study("svre-mnist").at("laptop").claims}
    good, bad = right(), wrong()
    assert {n: c.judge(good).ruling for n, c in claims.items()} == dict.fromkeys(claims, "holds")
    assert {n: c.negated().judge(good).ruling for n, c in claims.items()} == dict.fromkeys(claims, "does not hold")
    assert {n: c.judge(bad).ruling for n, c in claims.items()} == dict.fromkeys(claims, "does not hold")
    assert len(claims) == 3 + 4 + 4 + 14 + 7
    assert all(power(claim).smallest_effect > 0 for claim in claims.values())


def test_every_verdict_of_the_papers_scale_flips() -> None:
    claims = {claim.name: claim for claim in find_study("svre-mnist").at("paper").claims}
    told = {"SVRE": math.log(7.5), "SE-A": math.log(7.1)}
    good = played(PAPER, told, moments=REDUCED, ratio=0.5, noise=0.002)
    bad = played(PAPER, {"SVRE": math.log(5.0), "SE-A": math.log(6.0)}, moments={}, ratio=1.5, noise=0.002)
    assert {n: c.judge(good).ruling for n, c in claims.items()} == dict.fromkeys(claims, "holds")
    assert {n: c.judge(bad).ruling for n, c in claims.items()} == dict.fromkeys(claims, "does not hold")


def test_the_posters_numbers_stand_beside_its_net_alone() -> None:
    texts = {scale: " ".join(c.statement for c in find_study("svre-mnist").at(scale).claims) for scale in study.SIZES}
    assert ["poster" in texts[scale] for scale in ("smoke", "laptop", "paper")] == [False, False, True]
    assert re.search(r"read off the poster, 7\.5 .*read off the poster, 7\.1 ", texts["paper"])
    told = {"SVRE": 2.0, "SE-A": 1.9}
    for net, shown in (("mnist-mlp", True), ("mnist-cnn", False)):
        size = replace(PAPER, setup=replace(PAPER.setup, net=net))
        table = played(size, told, moments=REDUCED, ratio=0.5)
        labels = [line.get_label() for line in draw_scores(table).axes[0].get_lines()]
        assert ("read off the poster" in labels) == shown


def test_figures_of_a_scale_without_the_factorial_say_so() -> None:
    table = played(PAPER, {"SVRE": 2.0, "SE-A": 1.9}, moments=REDUCED, ratio=0.5)
    assert [text.get_text() for text in draw_factorial(table).texts] == ["the factorial is not played at this scale"]
    assert len(draw_equal_cost(table).axes) == 2
    shown = [tick.get_text() for tick in draw_equal_cost(right()).axes[0].get_yticklabels()]
    assert set(shown) == set(runs.ARMS) - {"BatchE-A"} | {"SVRE, unrestarted"}  # which comes to neither mark
    assert len(draw_noise(right()).axes) == 8
    effects = draw_factorial(right()).axes[0]
    assert [tick.get_text() for tick in effects.get_yticklabels()][:3] == list(results.FACTORS)
