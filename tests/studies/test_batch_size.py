"""P2.8: runs of equal cost, slopes by hand, every verdict both ways."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from manypaths.data.digits import Digits
from manypaths.experiments.engine import run_study
from manypaths.experiments.executor import InProcess
from manypaths.experiments.tables import Table
from manypaths.metrics.feature_nets import FeatureNet
from manypaths.models.classifiers import DigitsCnn
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe
from manypaths.studies.find import find_study
from manypaths.studies.svre_mnist import batch_size as study
from manypaths.studies.svre_mnist import results

LAPTOP = study.SIZES["laptop"]
ARMS = [*map(study.name_of_arm, study.MULTIPLES), study.REDUCED]


def test_runs_cost_the_same_and_pass_the_common_number_of_updates() -> None:
    cells = find_study("batch-size").at("laptop").cells
    assert len(cells) == 5 * LAPTOP.seeds
    for cell in cells:
        recipe = Recipe.from_plain(cell.settings["recipe"])
        k = recipe.oracle.settings["batch"] // LAPTOP.batch
        if cell.columns["arm"] == study.REDUCED:
            assert cell.evaluations >= 1.09 * 2 * LAPTOP.batch * LAPTOP.cost
        else:
            assert recipe.steps == 8 * LAPTOP.steps // k
            assert cell.evaluations == 2 * LAPTOP.batch * LAPTOP.cost
        assert LAPTOP.steps % recipe.evaluate_every == 0
        assert recipe.steps >= LAPTOP.steps
    assert sum(cell.seconds for cell in cells) / 2 < 30 * 60


def test_arms_differ_in_the_batch_or_the_oracle_alone() -> None:
    recipes = [Recipe.from_plain(cell.settings["recipe"]) for cell in find_study("batch-size").at("laptop").cells[:5]]
    for recipe, k in zip(recipes[1:4], (2, 4, 8), strict=True):
        assert recipe.differences(recipes[0]) == [f"oracle.batch is 16 there and {16 * k} here"]
    assert all(text.startswith("oracle.") for text in recipes[4].differences(recipes[0]))


def test_smoke_runs_every_arm(tmp_path, monkeypatch) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = FeatureNet("digits-cnn", DigitsCnn().eval().requires_grad_(False), 0.1, "abc")
    monkeypatch.setattr("manypaths.run.scoring.feature_net", lambda name: net)
    monkeypatch.setattr(Run, "draw_samples", lambda self: None)
    monkeypatch.setattr(Digits, "reference", lambda self: self)
    monkeypatch.setitem(study.SIZES, "smoke", replace(study.SIZES["smoke"], seeds=1))
    plan = find_study("batch-size").at("smoke")
    found = run_study(plan, tmp_path / "s", executor=InProcess(), console=Console(file=io.StringIO()))
    assert (found.state, found.finished) == ("finished", 5)
    table = Table.read(tmp_path / "s" / "table.parquet")
    for name in ARMS[:-1]:
        assert table.where(arm=name)["cost"].max() == plan.cells[0].evaluations / 8
    assert [path.stem for path in (tmp_path / "s" / "figures").iterdir()] == ["batch-size"]


def played(per_doubling: float, *, over_cost: float, reduced: float) -> Table:
    """Made-up results: log scores that rise per doubling of the batch after equal updates, and at equal cost."""
    rng, tables = np.random.default_rng(0), []
    for seed in range(LAPTOP.seeds):
        largest = 1.0 + 3 * per_doubling  # its last update is the common one
        for name, k in zip(ARMS, (*study.MULTIPLES, 1), strict=True):
            doublings = np.log2(k)
            steps = [LAPTOP.steps, LAPTOP.steps * 8 // k] if k < 8 else [LAPTOP.steps]
            levels = [1.0 + per_doubling * doublings, largest - over_cost * (3 - doublings)][: len(steps)]
            if name == study.REDUCED:
                levels = [reduced, reduced]
            cost = LAPTOP.cost * np.array(steps) / steps[-1]
            rows = {"step": steps, "cost": cost, results.SCORE: np.exp(np.array(levels) + rng.normal(0, 0.02))}
            labels = {"arm": name, "batch": 16 * k, "seed": seed, "state": "finished"}
            tables.append(Table({**labels, "equal_steps": LAPTOP.steps, "equal_cost": LAPTOP.cost, **rows}))
    return Table.concatenate(tables)


def test_slopes_by_hand() -> None:
    table = played(0.1, over_cost=-0.2, reduced=2.0)
    assert study.slope("step", LAPTOP.steps)(table.where(seed=0)) == pytest.approx(0.1, abs=0.02)
    assert study.slope("cost", LAPTOP.cost)(table.where(seed=0)) == pytest.approx(-0.2, abs=0.02)


@pytest.mark.parametrize(
    ("table", "ruling"),
    [
        (played(0.1, over_cost=0.1, reduced=2.0), "holds"),
        (played(-0.1, over_cost=-0.1, reduced=0.5), "does not hold"),
    ],
    ids=["right", "wrong"],
)
def test_every_verdict_flips(table, ruling) -> None:
    opposite = {"holds": "does not hold", "does not hold": "holds"}[ruling]
    claims = {claim.name: claim for claim in find_study("batch-size").at("laptop").claims}
    assert len(claims) == 5
    assert {n: c.judge(table).ruling for n, c in claims.items()} == dict.fromkeys(claims, ruling)
    assert {n: c.negated().judge(table).ruling for n, c in claims.items()} == dict.fromkeys(claims, opposite)


def test_what_holds_per_update_need_not_hold_at_equal_cost() -> None:
    claims = {claim.name: claim for claim in find_study("batch-size").at("laptop").claims}
    table = played(0.1, over_cost=-0.1, reduced=2.0)
    assert claims["P2.8 equal updates"].judge(table).ruling == "holds"
    assert claims["P2.8 equal cost"].judge(table).ruling == "does not hold"


def test_the_figure_shows_both_arms_in_every_panel() -> None:
    figure = study.draw(played(0.1, over_cost=0.1, reduced=2.0))
    assert len(figure.axes) == 2  # no Frechet distance in this table
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [study.PLAIN, study.REDUCED]
