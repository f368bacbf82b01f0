"""P2.3: a cost by hand, the fit on costs made for it, every verdict both ways, a few cells of the study."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from manypaths import SVRG, Extragradient, Training
from manypaths.analytic import Quadratic
from manypaths.experiments.engine import run_study
from manypaths.experiments.executor import InProcess
from manypaths.experiments.tables import Table
from manypaths.sources import IndexSource
from manypaths.studies.monotone_rates import results, study
from manypaths.studies.monotone_rates import runs as monotone_runs

SETTINGS = {"family": "mixed", "n": 6, "conditioning": 4, "method": "svre", "noise": 1.0, "game": 2, "seeds": 3}


def evaluations_alone(family: str, step: float, seed: int, *, limit: int) -> float:
    """Evaluations of one run of SVRE, alone, until it is a millionth of its start from the solution."""
    game = Quadratic.monotone(6, monotone_runs.D, family=family, mu=1.0, L=4.0, seed=2)
    oracle = SVRG(IndexSource(6, seed=seed), batch=1, schedule="svre", seed=seed)
    optimizers = {name: torch.optim.SGD(game.parameters(name), lr=step) for name in game.players}
    training, solution = Training(game, oracle, Extragradient(), optimizers), game.solution()
    while oracle.evaluations["x"] <= limit:
        training.step()
        if (game.joint() - solution).norm() <= 1e-6:  # the start is at distance 1
            return oracle.evaluations["x"]
    return np.inf


@pytest.mark.parametrize("family", monotone_runs.FAMILIES)
def test_the_constants_are_the_games_own(family) -> None:
    problem = monotone_runs.problem_of(family, 6, 7)
    found = Quadratic.monotone(6, monotone_runs.D, family=family, mu=1.0, L=7.0, seed=1).constants()
    assert found.mu == pytest.approx(1.0, rel=1e-12)
    assert found.mean_lipschitz == pytest.approx(problem.L, rel=1e-12)
    assert found.mean_cocoercivity == pytest.approx(problem.l, rel=1e-9)


def test_a_theoretical_cost_is_the_median_of_runs_of_their_own() -> None:
    found = monotone_runs.cost({**SETTINGS, "step_size": "theory", "budget": 5000}, Path("unused"))
    alone = [evaluations_alone("mixed", 1 / (4 * 4.0**1.5), seed, limit=10_000) for seed in (6, 7, 8)]
    assert found["cost"] == [np.median(alone)]
    assert found["step"] == pytest.approx(1 / 8)
    assert (found["reached"], found["at_end"], found["x"]) == (1.0, False, pytest.approx(8.0))


def test_a_tuned_cost_is_the_lowest_median_though_the_search_stops_early() -> None:
    settings = {**SETTINGS, "family": "potential", "step_size": "tuned", "budget": 5000}
    found = monotone_runs.cost(settings, Path("unused"))
    steps = monotone_runs.grid(monotone_runs.problem_of("potential", 6, 4)).tolist()
    assert steps[0] == 1.0
    assert steps[-1] == pytest.approx(1 / 16)
    runs = [[evaluations_alone("potential", step, seed, limit=600) for seed in (6, 7, 8)] for step in steps]
    medians = np.median(runs, axis=1)
    assert found["cost"] == [medians.min()]
    assert found["step"] == pytest.approx(4 * steps[int(np.argmin(medians))])
    assert not found["at_end"]


def test_noise_keeps_plain_sampling_away() -> None:
    plain = {**SETTINGS, "method": "plain", "step_size": "tuned", "budget": 400}
    noisy = monotone_runs.cost(plain, Path("unused"))
    assert noisy["cost"] == [np.inf]
    assert (noisy["reached"], noisy["steps"]) == (0.0, 400)
    assert np.isfinite(monotone_runs.cost({**plain, "noise": 0.0}, Path("unused"))["cost"]).all()


@pytest.mark.parametrize(("a", "b", "c", "size"), [(20.0, 3.0, 0.5, 0), (0.0, 9.0, 1.9, 0), (7.0, 2.0, 1.3, 0.5)])
def test_the_fit(a, b, c, size) -> None:
    n, x = (values.ravel() for values in np.meshgrid([10.0, 40.0, 160.0], [4.0, 25.0, 300.0]))
    found = results.fit(n, x, a * n + b * n**size * x**c, size)
    assert found == pytest.approx((a, b, c), rel=1e-2, abs=1e-6)
    assert np.isnan(results.fit(n, x, np.full(9, np.inf), size)).all()


def cost_as_claimed(settings) -> float:
    """a n + b n^size x^c, with c as in the bounds or below, so that SVRE wins on rotation and SVRG on potentials."""
    name, family = settings["method"], settings["family"]
    method = monotone_runs.METHODS[name]
    gentle = {("svre", "rotation"): 0.5, ("svrg", "potential"): 0.8}.get((name, family), method.exponent)
    first = 0.0 if name == "batch" else 4.0 * settings["n"]
    return first + (9.0 if name == "batch" else 1.0) * settings["n"] ** method.size * conditioning(settings) ** gentle


def cost_otherwise(settings) -> float:
    """Every exponent above its bound by 0.4, and the other winners."""
    name, family = settings["method"], settings["family"]
    method = monotone_runs.METHODS[name]
    dear = {("svre", "rotation"): 1e6, ("svrg", "potential"): 1e6, ("svre", "mixed"): 1e6}.get((name, family), 1.0)
    return dear * settings["n"] ** method.size * conditioning(settings) ** (method.exponent + 0.4)


def conditioning(settings) -> float:
    problem = monotone_runs.problem_of(settings["family"], settings["n"], settings["conditioning"])
    return problem.l if monotone_runs.METHODS[settings["method"]].conditioning == "l/mu" else problem.L


def table(scale: str, *, right: bool = True) -> Table:
    """Costs as the claims expect them, or made false; then noise does no harm and best steps lie at the ends."""
    rng, rows = np.random.default_rng(0), []
    for cell in study.cells(scale):
        s = cell.settings
        noisy = s["noise"] > 0
        unsolved = s["method"] == "plain" and noisy == right
        cost = cost_as_claimed(s) if right else cost_otherwise(s)
        cost = np.inf if unsolved else cost * rng.lognormal(0.0, 0.002)
        rows.append({**s, "cost": cost, "x": conditioning(s), "reached": float(not unsolved), "at_end": not right})
    return Table({key: [row[key] for row in rows] for key in rows[0]})


def test_every_verdict_flips() -> None:
    claims, right, wrong = study.claims("laptop"), table("laptop"), table("laptop", right=False)
    assert len(claims) == 12 + 1 + 2 + 3 + 1
    assert {claim.name: claim.judge(right).ruling for claim in claims} == {claim.name: "holds" for claim in claims}
    assert {claim.negated().judge(right).ruling for claim in claims} == {"does not hold"}
    rulings = {claim.name: claim.judge(wrong).ruling for claim in claims}
    assert rulings == {claim.name: "does not hold" for claim in claims}


def test_some_cells_of_the_study(tmp_path) -> None:
    plan = study.study().at("smoke")
    chosen = [cell for cell in plan.cells if cell.settings["n"] == 5 and cell.settings["game"] == 1]
    chosen = [cell for cell in chosen if cell.settings["conditioning"] == 3 and cell.settings["method"] != "plain"]
    part = type(plan)(plan.study, plan.scale, tuple(chosen), plan.claims[-1:])
    found = run_study(part, tmp_path, executor=InProcess(), console=Console(file=io.StringIO()))
    assert found.state == "finished"
    assert [verdict.ruling for verdict in found.verdicts] == ["holds"]
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"map.png", "cost.png"}
    tuned = Table.read(tmp_path / "table.parquet").where(step_size="tuned", family="rotation")
    assert np.isfinite(tuned["cost"]).all()
    assert tuned.where(method="svre")["cost"] < tuned.where(method="svrg")["cost"]


def test_scales() -> None:
    assert sum(cell.seconds for cell in study.cells("laptop")) < 2 * 15 * 60
    theory = [cell.settings for cell in study.cells("laptop") if cell.settings["step_size"] == "theory"]
    arms = {(settings["method"], settings["family"]) for settings in theory}
    assert arms == {(method, family) for method in results.COMPARED for family in monotone_runs.FAMILIES}
