"""P2.6: the formulas against steps taken by hand, the enumerations against the formulas, the study as a whole."""

from __future__ import annotations

import io
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from manypaths import Extragradient, Stochastic, Training
from manypaths.analytic import Coordinatewise
from manypaths.experiments.engine import run_study
from manypaths.experiments.executor import InProcess
from manypaths.experiments.tables import Table
from manypaths.sources import IndexSource
from manypaths.studies import noise_counterexample
from manypaths.studies.game_vs_minimisation import study, turned_games


def test_the_formulas_at_their_ends() -> None:
    """The game is the counterexample of P2.1; the shadow copy contracts by (1 - eta)^2 and (1 - eta + eta^2)^2."""
    n, eta = np.array([2, 10, 100]), np.array([0.3, 0.5, 0.9])
    game = turned_games.predicted("extragradient", n, eta, 1.0)
    assert np.abs(game - noise_counterexample.predicted("independent", n, eta)).max() < 1e-16
    shadow = turned_games.predicted("extragradient", n, eta, 0.0)
    by_hand = (1 - 1 / n) / n * ((1 - eta) ** 2 - 1) + ((1 - eta + eta**2) ** 2 - 1) / n**2
    assert np.abs(shadow - by_hand).max() < 1e-15
    assert np.abs(turned_games.predicted("simultaneous", n, eta, 0.0) - ((1 - eta) ** 2 - 1) / n).max() < 1e-15
    assert np.abs(turned_games.predicted("simultaneous", n, eta, 1.0) - eta**2 / n).max() < 1e-16


def test_the_flip_is_a_root_and_tends_to_that_of_gradient_steps() -> None:
    for rule, n, eta in product(turned_games.RULES, (2, 3, 10, 1000), (0.01, 0.3, 0.9)):
        root = turned_games.flip(rule, n, eta)
        assert abs(turned_games.predicted(rule, n, eta, root)) < 1e-15
        assert turned_games.predicted(rule, n, eta, root - 1e-3) < 0 < turned_games.predicted(rule, n, eta, root + 1e-3)
    one, limit = (turned_games.flip(rule, 10**7, 0.5) for rule in turned_games.RULES)
    assert one == pytest.approx(limit, abs=1e-6)
    assert limit == pytest.approx(2 / math.pi * math.acos(0.25), abs=1e-12)


@pytest.mark.parametrize("rule", turned_games.RULES)
def test_every_draw_is_played_by_oracle_and_rule(rule) -> None:
    """Enumerated from a generic w to 1e-12, and from the solution with additive noise."""
    for n, eta in [(2, 0.7), (5, 0.3)]:
        found = turned_games.enumerated({"rule": rule, "n": n, "eta": eta, "rotations": 4}, Path("unused"))
        formula = turned_games.predicted(rule, n, eta, found["rotation"])
        assert np.abs(np.array(found["growth"]) - formula).max() < 1e-12
        assert np.abs(np.array(found["entered"]) - 1).max() < 1e-12
        assert found["flip"] == pytest.approx(turned_games.flip(rule, n, eta), abs=1e-11)


def test_the_noise_at_the_solution_is_the_same_at_every_rotation() -> None:
    components = torch.arange(6)[:, None]
    at = [Coordinatewise(6, rotation=rotation, seed=3) for rotation in (0.0, 0.3, 1.0)]
    fields = [game.field(game.solution().expand(6, -1), components) for game in at]
    assert max(float((f - fields[0]).abs().max()) for f in fields) < 1e-14
    assert turned_games.noise_at_solution(at[1]) == pytest.approx(float(fields[0].square().sum(1).mean()), rel=1e-14)


@pytest.mark.parametrize("noise", [False, True])
def test_a_row_is_the_mean_of_runs_of_their_own(noise) -> None:
    settings = {"rule": "extragradient", "rotation": 1.0, "n": 4, "eta": 0.3, "game": 2}
    found = turned_games.drawn({**settings, "noise": noise, "steps": 9, "groups": 2}, Path("unused"))
    games = [Coordinatewise(4, noise=noise, seed=2) for _ in range(20)]
    solution, unit = games[0].solution(), float(games[0].start.square().sum())
    for seed, game in enumerate(games, 2 * 2 * 20 + 20):
        if noise:
            game.move_to({name: [part] for name, part in game.split(solution).items()})
        optimizers = {name: torch.optim.SGD(game.parameters(name), lr=0.3) for name in game.players}
        training = Training(game, Stochastic(IndexSource(4, seed=seed), batch=1), Extragradient(), optimizers)
        for _ in range(9):
            training.step()
    ends = [float((game.joint() - solution).square().sum()) for game in games]
    if noise:
        unit = 9 * 0.3**2 * (1 + 0.3**2 / 4) * turned_games.noise_at_solution(games[0])
    assert found["ratio"][1] == pytest.approx(np.mean(ends) / unit, rel=1e-12)
    assert found["group"].tolist() == [4, 5]


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    plan, directory = study.study().at("smoke"), tmp_path_factory.mktemp("study")
    found = run_study(plan, directory, executor=InProcess(), console=Console(file=io.StringIO()))
    return plan, found, directory


def test_the_study(ended) -> None:
    plan, found, directory = ended
    assert {verdict.claim.name: verdict.ruling for verdict in found.verdicts} == dict.fromkeys(
        [claim.name for claim in plan.claims], "holds"
    )
    assert len(plan.claims) == 3 + 4 + 8 + 1
    assert {path.name for path in (directory / "figures").iterdir()} == {"rotation.png", "noise.png"}


def test_every_verdict_flips(ended) -> None:
    plan, _, directory = ended
    table = Table.read(directory / "table.parquet")
    assert {claim.negated().judge(table).ruling for claim in plan.claims} == {"does not hold"}
    columns = {name: table[name] for name in table.names}
    wrong = {"growth": -columns["growth"], "ratio": 1 / columns["ratio"]}
    wrong |= {"entered": columns["rotation"], "flip": columns["flip"] + 1e-3}
    false = Table({**columns, **wrong})
    assert {claim.judge(false).ruling for claim in plan.claims} == {"does not hold"}


def test_scales() -> None:
    for scale in ("laptop", "paper"):
        assert {cell.settings["n"] for cell in study.cells(scale) if cell.name == "drawn"} == {100}
    seconds = sum(cell.seconds for cell in study.cells("laptop"))
    assert seconds < 600
