"""The method zoo: matrices against code and polynomials, a run by hand, fits of known curves, verdicts."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from manypaths import SVRG, Extragradient, Training
from manypaths.experiments.engine import run_study
from manypaths.experiments.executor import InProcess
from manypaths.experiments.tables import Table
from manypaths.oracles import ORACLES
from manypaths.registry import registries
from manypaths.rules import RULES
from manypaths.sources import IndexSource
from manypaths.studies.method_zoo import step_maps as maps
from manypaths.studies.method_zoo import study
from manypaths.studies.method_zoo.games import ARENAS, LINEAR, N
from manypaths.studies.method_zoo.methods import METHODS, Seat
from manypaths.studies.method_zoo.results import best, result
from manypaths.studies.method_zoo.step_maps import LinearField, decades
from manypaths.testing.closed_forms import affine_map, curved_rotation

ROTATION = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
MEMORY = ("past extragradient", "optimistic gradient", "optimistic update", "alternating extrapolation")


# ---- theory ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.step and not m.alone and n not in MEMORY])
def test_matrices_are_what_the_code_does(name: str) -> None:
    """Of rules without memory; negative momentum's memory begins at zero, so its matrix's corner is the first step."""
    method, matrix = METHODS[name], curved_rotation()
    assert method.step is not None
    rule = lambda: method.rule(("x", "y"))  # noqa: E731
    expected = affine_map(rule, matrix, lr=0.3, steps=method.period, base=method.base)
    found = method.step(LinearField(matrix, (3, 3), 0.3))[:6, :6]
    assert torch.allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("eta", [0.2, 0.4])
def test_rates_on_a_rotation(eta: float) -> None:
    """min_x max_y xy: characteristic polynomials, by hand."""
    i = 1j * eta
    turned = np.poly1d([1, -1]) ** 2
    polynomials = {
        "simultaneous": np.poly1d([1, -(1 - i)]),
        "alternating": np.poly1d([1, eta**2 - 2, 1]),
        "extragradient": np.poly1d([1, -(1 - i - eta**2)]),
        "extragradient, two step sizes": np.poly1d([1, -(1 - i - 2 * eta**2)]),
        "past extragradient": np.poly1d([1, -(1 - 2 * i), -i]),
        "optimistic gradient": np.poly1d([1, -(1 - 2 * i), -i]),
        "alternating extrapolation": turned * np.poly1d([1, 0]) + eta**2 * np.poly1d([2, -1]) ** 2,
        "negative momentum": turned * np.poly1d([1, 0.5]) ** 2 + eta**2 * np.poly1d([1, 0, 0, 0]),
        "competitive": np.poly1d([1 + eta**2, -(1 - i)]),
        "consensus": np.poly1d([1, -(1 - i - eta)]),
        "symplectic": np.poly1d([1, -(1 - i - eta)]),
    }
    for name, polynomial in polynomials.items():
        step = METHODS[name].step
        assert step is not None
        radius = float(np.abs(polynomial.roots).max())
        found = decades(step, LinearField(ROTATION, (1, 1), eta))
        assert found == pytest.approx(-math.log10(radius), abs=1e-8 if name == "alternating" else 1e-12), name


def test_players_of_different_sizes() -> None:
    first, second = LinearField(torch.eye(3), (1, 2), 0.5).owns
    assert torch.equal(first, torch.tensor([1.0, 0.0, 0.0]).diag())
    assert torch.equal(first + second, torch.eye(3))
    matrix = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    field = LinearField(matrix, (1, 2), 0.5)
    moved = torch.tensor([1.0, 1.0, 1.0])
    moved[0] -= 0.5 * (matrix @ moved)[0]
    moved[1:] -= 0.5 * (matrix @ moved)[1:]
    assert torch.equal(maps.alternating(field) @ torch.ones(3), moved)


# ---- runs --------------------------------------------------------------------------------------------------------


LATER = {
    *("storm", "page", "mars", "omega", "bias-corrected-extragradient", "normalised-extragradient"),
    *("accelerated-optimistic", "fast-optimistic", "dual-halpern", "stochastic-halpern", "recursive-anchoring"),
}
"""Oracles and rules that came after the zoo's cells were run."""


def test_the_zoo_has_every_rule_and_every_oracle() -> None:
    """Of its day; and every method trains: 33 of them, on the game with noise."""
    rules, oracles = set(), set()
    for name, method in METHODS.items():
        arena = ARENAS["coordinatewise, noisy"]()
        rule, oracle = method.rule(("x", "y")), method.oracle(Seat(arena, IndexSource(N)))
        rules |= {type(rule), type(getattr(rule, "inner", rule))}
        oracles |= {type(oracle), type(getattr(oracle, "oracle", oracle))}
        assert method.alone or type(oracle).serves_populations
        settings = {"method": name, "game": "coordinatewise, noisy", "steps": [0.25], "seeds": 1, "passes": 8}
        (row,) = Table(study.rates(settings, Path("unused"))).rows()
        assert math.isfinite(row["rate"]), name
        assert math.isnan(row["theory"]) == (method.step is None), name
    assert rules == {RULES[name] for name in set(RULES) - LATER}
    assert oracles == {ORACLES[name] for name in set(ORACLES) - LATER}


def test_runs_by_hand() -> None:
    """SVRE with two seeds, as runs of their own; they end together, when their mean cost is 10 passes."""
    settings = {"method": "SVRE", "game": "coordinatewise, noisy", "steps": [0.5], "seeds": 2, "passes": 10}
    table = Table(study.rates(settings, Path("unused")))
    arenas = [ARENAS["coordinatewise, noisy"]() for _ in range(2)]
    trainings = []
    for seed, arena in enumerate(arenas):
        start = arena.solution + arena.offset(seed)
        assert float((start - arena.solution).norm()) == pytest.approx(6.0, abs=1e-12)
        arena.game.move_to({name: [part] for name, part in arena.game.split(start).items()})
        optimizers = {
            name: torch.optim.SGD(arena.game.parameters(name), lr=0.5) for name in ("x", "y")
        }  # mean L_i is 1
        oracle = SVRG(IndexSource(N, seed=seed), batch=1, seed=seed)
        trainings.append(Training(arena.game, oracle, Extragradient(), optimizers))
    passes, logs = [np.zeros(2)], [np.full(2, math.log10(6.0))]
    while passes[-1].mean() < 10:
        for training in trainings:
            training.step()
        passes.append(np.array([t.oracle.evaluations["x"] + t.oracle.evaluations["y"] for t in trainings]) / 2 / N)
        distances = [float((arena.game.joint() - arena.solution).norm()) for arena in arenas]
        logs.append(np.log10(distances))
    for seed, row in enumerate(table.rows()):
        x, y = np.stack(passes)[:, seed], np.stack(logs)[:, seed]
        late = x >= x[-1] / 2
        assert row["rate"] == pytest.approx(-np.polyfit(x[late], y[late], 1)[0], abs=1e-12)
        assert row["end"] == pytest.approx(y[-1] - y[0], abs=1e-12)


@pytest.mark.parametrize("game", LINEAR)
def test_the_still_game_is_the_mean_field(game: str) -> None:
    arena = ARENAS[game]()
    assert arena.still is not None
    assert not arena.still.solution().any()
    assert torch.equal(arena.still.jacobian(), arena.game.jacobian())
    shift = arena.offset(3)
    there, here = arena.game.field(arena.solution + shift), arena.still.field(shift)
    assert torch.allclose(there, here, rtol=0, atol=1e-12)


def test_runs_begin_where_the_field_sees_them() -> None:
    arena = ARENAS["rock-paper-scissors"]()
    offset = arena.offset(0)
    assert float(offset.norm()) == pytest.approx(0.5, abs=1e-12)
    assert offset.unflatten(0, (2, 3)).sum(1).abs().max() < 1e-12, "a constant added to the logits changes nothing"


def test_measured_rates_are_the_predicted_ones() -> None:
    """Per step, on a field with one modulus: nothing has to die out, and the fit is exact."""
    for name in ("simultaneous", "extragradient", "consensus"):
        settings = {"method": name, "game": "coordinatewise", "steps": [0.25, 0.5], "seeds": 1, "passes": 60}
        table = Table(study.rates(settings, Path("unused")))
        assert np.allclose(table["per_step"], table["theory"], rtol=1e-9, atol=0)
        price = {"simultaneous": 1, "extragradient": 2, "consensus": 3}[name]
        assert np.allclose(table["rate"] * price, table["per_step"], rtol=1e-9, atol=0)


# ---- reading -----------------------------------------------------------------------------------------------------


def fit(distance: np.ndarray, price: float = 2.0) -> dict[str, float]:
    return study.fitted(price * np.arange(len(distance)), distance, 1e-11)


def test_fits_of_known_curves() -> None:
    t = np.arange(201.0)
    falling = fit(10 ** (-0.05 * t))
    assert falling["rate"] == pytest.approx(0.025, rel=1e-12)
    assert falling["per_step"] == pytest.approx(0.05, rel=1e-12)
    assert falling["gain"] == pytest.approx(5.0, rel=1e-12)
    assert falling["steps"] == 100
    floored = fit(np.maximum(10 ** (-0.2 * t), 1e-16))
    assert floored["rate"] == pytest.approx(0.1, rel=1e-12), "what lies under the floor is not read"
    growing = fit(10**t)
    assert (growing["rate"], growing["end"]) == (pytest.approx(-0.5, rel=1e-12), pytest.approx(29.0))
    assert fit(np.array([1.0, 1e40, math.inf]))["rate"] == -math.inf
    assert fit(np.array([1.0, 0.0]))["rate"] == math.inf
    lost = fit(np.array([1.0, 2.0, 4.0, math.nan, 8.0]))
    assert lost["per_step"] == pytest.approx(-math.log10(2), rel=1e-12), "nothing after a NaN is read"


def test_states() -> None:
    t = np.arange(401.0)
    curves = {
        "converges": [10 ** (-0.01 * t)],
        "stalls": [1 / (1 + t), np.ones(401), 1e-3 + 10 ** (-0.1 * t)],
        "diverges": [10 ** (0.001 * t), 1 - 10 ** (-0.1 * t) + np.where(t, 4.0, 0.1)],
    }
    for state, several in curves.items():
        for curve in several:
            assert result(table_of([{"lr": 0.5, **fit(curve / curve[0])}])).state == state
    rows = [
        {"lr": lr, **fit(curves[state][0])}
        for lr, state in ((0.25, "stalls"), (0.5, "converges"), (1.0, "diverges"))
        for _ in range(3)
    ]
    assert (best(table_of(rows)).lr, best(table_of(rows)).state) == (0.5, "converges")


# ---- the study ---------------------------------------------------------------------------------------------------


def table_of(rows: list) -> Table:
    return Table({name: [row[name] for row in rows] for name in rows[0]})


def invented(*, true: bool) -> Table:
    """A laptop's table in which all claims are true, or in which all are false."""
    sign, rows = (1.0 if true else -1.0), []
    rng = np.random.default_rng(0)
    falling = dict.fromkeys((*study.CONVERGE, *study.REDUCED), sign)
    falling |= {"stochastic two step sizes": sign, "same-sample extragradient": sign}
    falling |= {"simultaneous": -sign, "stochastic extragradient": -sign}
    for cell in study.cells("laptop"):
        labels = cell.columns
        for lr in cell.settings["steps"]:
            for seed in range(cell.settings["seeds"]):
                rate = 0.01 * falling.get(labels["method"], 1.0) * rng.uniform(0.9, 1.1)
                found = {"rate": rate, "gain": 200 * rate, "end": -400 * rate, "per_step": rate, "steps": 200}
                theory = rate * (1.001 if true else 1.1)
                rows.append({**labels, "lr": lr, "seed": seed, **found, "theory": theory})
    return table_of(rows)


def test_every_verdict_flips() -> None:
    claims, right, wrong = study.claims("laptop"), invented(true=True), invented(true=False)
    assert len(claims) == 5 + 12 + 8
    assert {claim.judge(right).ruling for claim in claims} == {"holds"}
    assert {claim.negated().judge(right).ruling for claim in claims} == {"does not hold"}
    assert {claim.judge(wrong).ruling for claim in claims} == {"does not hold"}


def test_the_study_at_its_smallest(tmp_path) -> None:
    shown = ("simultaneous", "extragradient", "competitive", "SVRE", "stochastic extragradient")
    plan = study.study().at("smoke")
    chosen = [cell for cell in plan.cells if cell.columns["method"] in shown]
    names = {f"{game}, {name}" for game in study.GAMES["smoke"] for name in shown}
    judged = [claim for claim in plan.claims if claim.name in names]
    plan = type(plan)(plan.study, plan.scale, tuple(chosen), tuple(judged))
    found = run_study(plan, tmp_path, executor=InProcess(), console=Console(file=io.StringIO()))
    rulings = {verdict.claim.name: verdict.ruling for verdict in found.verdicts}
    assert {name: ruling for name, ruling in rulings.items() if name.startswith("bilinear")} == {
        "bilinear, simultaneous": "holds",
        "bilinear, extragradient": "holds",
        "bilinear, competitive": "holds",
    }
    assert rulings["coordinatewise, stochastic extragradient"] == "holds"
    table = Table.read(tmp_path / "table.parquet")
    assert study.largest_error(table.where(run="long")) < study.MARGIN
    for figure in ("best", "common", "theory"):
        assert (tmp_path / "figures" / f"{figure}.png").exists()


def test_games_without_summands_are_for_whole_sums() -> None:
    cells = [cell.columns for cell in study.cells("laptop")]
    dirac = {cell["method"] for cell in cells if cell["game"] == "Dirac-GAN"}
    assert dirac == {name for name, method in METHODS.items() if not method.samples}
    assert len(cells) == 3 * 17 + 7 * 33 + 5 * 15
    assert all(study.claims(scale) for scale in ("smoke", "laptop", "paper"))


def test_it_is_listed() -> None:
    assert registries()["study"].summary("method-zoo").startswith("Which method converges")
