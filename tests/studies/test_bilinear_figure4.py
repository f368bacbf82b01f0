"""P2.2: one repetition by hand, the claims on tables made for them, the study at its smallest."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from manypaths import SVRG, Extragradient, Training, UniformAverage
from manypaths.analytic import Coordinatewise
from manypaths.experiments.engine import run_study
from manypaths.experiments.executor import InProcess
from manypaths.experiments.tables import Table
from manypaths.sources import IndexSource
from manypaths.studies.bilinear_figure4 import curves, runs, study


def test_a_repetition_is_a_run_of_its_own(monkeypatch) -> None:
    settings = {"method": "SVRE p=1/2", "game": 3, "repetitions": 3, "budget": 4, "every": 2}
    table = Table(runs.played(settings, Path("unused")))
    monkeypatch.setattr(runs.Method, "plain_svre", False)
    long_way = Table(runs.played(settings, Path("unused")))
    for name in table.names:
        assert table[name] == pytest.approx(long_way[name], rel=1e-11)
    game = Coordinatewise(100, seed=3)
    oracle = SVRG(IndexSource(100, seed=11), batch=1, schedule="svre", seed=11)
    optimizers = {name: torch.optim.SGD(game.parameters(name), lr=0.3) for name in game.players}
    training = Training(game, oracle, Extragradient(), optimizers, averages=UniformAverage(restart=0.5), seed=11)
    for _ in range(200):
        training.step()
    x, y = (game.joint() - game.solution()).chunk(2)
    (row,) = table.where(run=11, plotted=4).rows()
    assert row["last"] == pytest.approx(float(x.norm() + y.norm()), rel=1e-12)
    assert row["passes"] == oracle.evaluations["x"] / 100
    assert row["group"] == 2


def published(*, factor: float = 1.0) -> Table:
    """A table whose curves scatter around the published ones."""
    rng = np.random.default_rng(0)
    rows = []
    for name in runs.METHODS:
        reads = {c.read: c.published for c in curves.CURVES.values() if c.method == name}
        for run in range(500):
            place = {"method": name, "game": run // 50, "run": run, "group": run // 5}
            for k, mark in enumerate(curves.MARKS):
                values = {read: means[k] * factor * rng.lognormal(0.0, 0.3) for read, means in reads.items()}
                rows.append({**place, "plotted": mark, "last": 1.0, "average": 1.0, **values})
    return Table({key: [row[key] for row in rows] for key in rows[0]})


def test_every_verdict_flips() -> None:
    claims, right = study.claims("laptop"), published()
    assert len(claims) == 10
    assert [claim.judge(right).ruling for claim in claims] == ["holds"] * 10
    assert [claim.negated().judge(right).ruling for claim in claims] == ["does not hold"] * 10
    wrong = [claim.judge(published(factor=50.0)).ruling for claim in claims]
    assert wrong == ["holds"] + ["does not hold"] * 9, "the order is that of the published curves, their height is not"


def test_the_study_at_its_smallest(tmp_path) -> None:
    plan = study.study().at("smoke")
    plan = type(plan)(plan.study, plan.scale, plan.cells[:8], plan.claims[:0])
    found = run_study(plan, tmp_path, executor=InProcess(), console=Console(file=io.StringIO()))
    assert found.state == "finished"
    table = Table.read(tmp_path / "table.parquet")
    last = table.where(plotted=20)
    assert np.median(last.where(method="SE")["last"]) > np.median(last.where(method="SVRE p=1/10")["last"])
    assert (tmp_path / "figures" / "figure4.png").exists()
