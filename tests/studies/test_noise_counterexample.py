"""P2.1: the formulas against known numbers, the enumerations against the formulas, the study as a whole."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from manypaths.experiments.engine import run_study
from manypaths.experiments.executor import InProcess
from manypaths.experiments.tables import Table
from manypaths.registry import registries
from manypaths.studies import noise_counterexample as study


def test_the_formulas() -> None:
    assert study.predicted("independent", 100, 0.1) == pytest.approx(0.000098, abs=5e-7)
    assert study.predicted("independent", 100, 0.3) == pytest.approx(0.000883, abs=5e-7)
    assert study.predicted("independent", 10, 0.3) == pytest.approx(0.007281, abs=5e-7)
    assert study.predicted("same", 10, 0.3) == pytest.approx(-0.00819, abs=1e-15)
    assert study.predicted("two-step", 10, 0.1**0.5) == pytest.approx(0.0, abs=1e-15), "contracts below 1 / sqrt(n)"
    assert study.predicted("two-step", 10, 0.3) < 0 < study.predicted("two-step", 10, 0.4)


@pytest.mark.parametrize("variant", study.VARIANTS)
def test_every_w_has_the_same_factor(variant) -> None:
    """Enumerated from three random w through the oracle and the rule, to 1e-12; 100 components where draws are few."""
    pairs = variant in ("independent", "two-step")
    for n, eta, start in [(2, 0.7, 0), (3, 0.5, 1), (3, 0.5, 2), (10 if pairs else 100, 0.3, 0)]:
        settings = {"variant": variant, "n": n, "eta": eta, "start": start}
        found = study.enumerated(settings, Path("unused"))
        assert found["growth"] == pytest.approx(study.predicted(variant, n, eta), abs=1e-12)
        assert found["draws"] == {"batch": 1, "same": n}.get(variant, n**2)


def test_the_study(tmp_path) -> None:
    plan = study.study().at("smoke")
    found = run_study(plan, tmp_path, executor=InProcess(), console=Console(file=io.StringIO()))
    assert {verdict.claim.name: verdict.ruling for verdict in found.verdicts} == dict.fromkeys(
        [claim.name for claim in plan.claims], "holds"
    )
    assert (tmp_path / "figures" / "growth.png").exists()
    page = (tmp_path / "verdicts.md").read_text().splitlines()
    assert page[2] == "| claim | statistic | expected | decided from | verdict |"
    assert page[5].startswith("| **P2.1 independent, sign** independent samples: \\|\\|w\\|\\|^2 grows")
    assert page[5].endswith(" | > 0 | always | holds |")
    table = Table.read(tmp_path / "table.parquet")
    assert len(table.where(function="enumerated")) == 24
    for claim in plan.claims:
        assert claim.negated().judge(table).ruling == "does not hold"
    swap = {"independent": "same", "same": "independent", "two-step": "batch", "batch": "two-step"}
    columns = {name: table[name] for name in table.names}
    swapped = Table({**columns, "variant": [swap[name] for name in table["variant"]]})
    wrong = {claim.name: claim.judge(swapped).ruling for claim in plan.claims}
    right = {"P2.1 two-step, sign", "P2.1 batch, sign"}  # both shrink
    assert {name for name, ruling in wrong.items() if ruling == "holds"} == right
    assert set(wrong.values()) == {"holds", "does not hold"}


def test_laptop_and_paper_have_a_hundred_summands() -> None:
    for scale in ("laptop", "paper"):
        sizes = {cell.settings["n"] for cell in study.cells(scale) if cell.name == "enumerated"}
        assert sizes == {2, 10, 100}
        assert len(study.claims(scale)) == 10
    assert sum(cell.evaluations for cell in study.cells("smoke")) == 2784 + 80 * 20 * 4


def test_it_is_listed() -> None:
    assert registries()["study"].summary("noise-counterexample").endswith("(P2.1)")
