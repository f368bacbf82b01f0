"""The engine: what is repeated and what is not, what a failure costs, what is written, and what is said."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import signal
import sys
import threading
import time

import pytest
import toy_study
from PIL import Image
from rich.console import Console

from manypaths.errors import InvalidType, InvalidValue
from manypaths.experiments.cells import Cell, resolve
from manypaths.experiments.engine import run_study
from manypaths.experiments.executor import InProcess, ProcessPool
from manypaths.experiments.figures import canvas, png
from manypaths.experiments.outputs import show_verdicts
from manypaths.experiments.overview import show_plan, show_status
from manypaths.experiments.store import Store
from manypaths.experiments.tables import Table, read_about
from manypaths.studies.find import find_study


@pytest.fixture
def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def calls(out) -> list[int]:
    return [int(line) for line in (out / "calls.txt").read_text().split()]


def verdicts(out) -> list[dict]:
    return json.loads((out / "verdicts.json").read_text())["verdicts"]


def test_finished_cells_are_never_repeated(tmp_path, quiet) -> None:
    plan = toy_study.study().at("smoke")
    first = run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    written = {
        name: (tmp_path / name).read_bytes() for name in ("table.parquet", "verdicts.json", "figures/values.png")
    }
    again = run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    assert (first.state, first.finished, first.total) == ("finished", 3, 3)
    assert calls(tmp_path) == [0, 1, 2]
    assert [v.ruling for v in again.verdicts] == [v.ruling for v in first.verdicts]
    assert all((tmp_path / name).read_bytes() == contents for name, contents in written.items())


def test_what_cells_need_is_made_before_the_first_and_only_for_one(tmp_path, quiet) -> None:
    asked: list[str] = []
    plan = dataclasses.replace(toy_study.study(), ready=asked.append).at("smoke")
    run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    assert asked == ["smoke"]


def test_what_is_written(tmp_path, quiet, coarser_figures) -> None:
    plan = toy_study.study().at("smoke")
    run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    table = Table.read(tmp_path / "table.parquet")
    assert table.names == ["cell", "function", "seed", "value", "half"]
    assert table["seed"].tolist() == [0, 0, 1, 1, 2, 2]
    assert table["value"].tolist() == [0.0, 1.0, 1.0, 2.0, 2.0, 3.0]
    assert table.where(seed=1)["cell"].tolist() == [plan.cells[1].key] * 2
    assert read_about(tmp_path / "table.parquet") == {"study": "toy", "scale": "smoke"}
    exact, mean, share = verdicts(tmp_path)
    assert exact == {
        "prediction": "T1",
        "statement": "the largest value is the number of seeds",
        "method": "exact",
        "rule": "statistic in (2.5, 3.5)",
        "statistic": 3.0,
        "interval": [3.0, 3.0],
        "verdict": "holds",
        "note": "",
        "power": {"smallest_effect": 0.0, "undecided": None, "assumed": None, "confirmable": True},
        "n": None,
    }
    assert (mean["statistic"], mean["verdict"], mean["n"]) == (2.0, "holds", 3)
    assert mean["power"]["undecided"] == 0.0
    assert (share["statistic"], share["verdict"]) == (pytest.approx(1 / 3), "undecided")
    assert share["power"]["smallest_effect"] is None, "three seeds cannot show a majority"
    with Image.open(tmp_path / "figures" / "values.png") as picture:
        assert picture.width * coarser_figures == 1600
    assert (tmp_path / "page.md").read_text() == "6 rows\n"
    asked = json.loads((tmp_path / "cells" / plan.cells[0].key / "cell.json").read_text())
    assert asked == {"function": "toy_study:measured", "settings": {"seed": 0}}


def test_every_decided_verdict_flips_when_the_claim_is_made_false(tmp_path, quiet) -> None:
    plan = toy_study.study().at("laptop")
    run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    table = Table.read(tmp_path / "table.parquet")
    rulings = [(c.judge(table).ruling, c.negated().judge(table).ruling) for c in plan.claims]
    assert rulings == [("holds", "does not hold"), ("holds", "does not hold"), ("undecided", "undecided")]


def test_a_cell_that_raises_is_noted_and_tried_again(tmp_path, quiet) -> None:
    plan = toy_study.study(toy_study.cell(0), toy_study.cell(1, does="raise"), toy_study.cell(2)).at("smoke")
    found = run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    assert (found.state, found.finished) == ("failed", 2)
    assert "failed: measured seed=1 does=raise: ValueError: three lines here" in quiet.file.getvalue()
    failed = json.loads((tmp_path / "cells" / plan.cells[1].key / "failed.json").read_text())
    assert failed["error"] == "ValueError: three lines here"
    assert "misbehave" in failed["details"]
    assert {(v["verdict"], v["note"]) for v in verdicts(tmp_path)} == {("undecided", "1 of 3 cells have no result")}
    assert verdicts(tmp_path)[0]["statistic"] == "nan"
    assert len(Table.read(tmp_path / "table.parquet")) == 4
    assert not (tmp_path / "figures").exists()
    (tmp_path / "repaired").touch()
    assert run_study(plan, tmp_path, executor=InProcess(), console=quiet).state == "finished"
    assert calls(tmp_path) == [0, 1, 2, 1]
    assert not list(tmp_path.glob("cells/*/failed.json"))


def test_an_interrupted_study_goes_on(tmp_path, quiet) -> None:
    plan = toy_study.study(toy_study.cell(0), toy_study.cell(1, does="interrupt"), toy_study.cell(2)).at("smoke")
    found = run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    assert (found.state, found.finished, found.verdicts) == ("interrupted", 1, [])
    assert not (tmp_path / "table.parquet").exists()
    (tmp_path / "repaired").touch()
    assert run_study(plan, tmp_path, executor=InProcess(), console=quiet).state == "finished"
    assert calls(tmp_path) == [0, 1, 1, 2]


def test_a_worker_that_dies_costs_its_cell_alone(tmp_path, quiet) -> None:
    cells = [toy_study.cell(i, does=how) for i, how in enumerate(("exit", "none", "die"))]
    cells.insert(2, Cell("toy_study:drawn", {"seed": 4}, seconds=2.0))
    plan = toy_study.study(*cells).at("smoke")
    found = run_study(plan, tmp_path / "a", executor=ProcessPool(1), console=quiet)
    store, here = Store(tmp_path / "a"), Store(tmp_path / "b")
    assert [store.state(cell) for cell in cells] == ["failed", "finished", "finished", "failed"]
    assert (found.state, found.finished) == ("failed", 2)
    assert store.failure(cells[0]) == "the worker ended with exit status 3"
    assert store.failure(cells[3]) == "the worker was killed by SIGKILL"
    assert (store.directory(cells[1]) / "output.txt").read_text() == "a word from the cell\n"
    alone = dataclasses.replace(plan, cells=(cells[2],), claims=(), study=dataclasses.replace(plan.study, figures={}))
    run_study(alone, here.path, executor=InProcess(), console=quiet)
    assert list(here.result(cells[2]).rows()) == list(store.result(cells[2]).rows()), "the same in any process"
    assert here.result(cells[2])["threads"] == 1


def test_ctrl_c_ends_the_workers(tmp_path, quiet) -> None:
    plan = toy_study.study(toy_study.cell(0), toy_study.cell(1, does="wait")).at("smoke")

    def press_when_it_waits() -> None:
        until = time.monotonic() + 240
        while time.monotonic() < until and not (
            (tmp_path / "calls.txt").exists()
            and len(calls(tmp_path)) == 2
            and list(tmp_path.glob("cells/*/result.parquet"))
        ):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
    try:
        threading.Thread(target=press_when_it_waits).start()
        found = run_study(plan, tmp_path, executor=ProcessPool(2), console=quiet)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (found.state, found.finished) == ("interrupted", 1)
    (tmp_path / "repaired").touch()
    assert run_study(plan, tmp_path, executor=InProcess(), console=quiet).state == "finished"
    assert sorted(calls(tmp_path)) == [0, 1, 1]


def test_the_address_of_a_cell(monkeypatch) -> None:
    cell = toy_study.cell(3, lr=(1, 2))
    assert cell.settings == {"seed": 3, "lr": [1, 2]}
    assert cell.columns == {"seed": 3, "lr": "[1, 2]"}
    relabelled = dataclasses.replace(toy_study.cell(3, lr=[1, 2]), labels={"arm": "a"}, seconds=9.0)
    assert (relabelled.key, relabelled.columns) == (cell.key, {"arm": "a"})
    assert toy_study.cell(4).key != toy_study.cell(3).key
    monkeypatch.setattr(resolve("toy_study:measured"), "version", 2)
    assert toy_study.cell(3, lr=[1, 2]).key != cell.key


def test_a_result_under_two_labels_is_computed_once(tmp_path, quiet) -> None:
    twice = [dataclasses.replace(toy_study.cell(1), labels={"seed": 1, "arm": arm}) for arm in ("a", "b")]
    plan = dataclasses.replace(toy_study.study().at("smoke"), cells=tuple(twice), claims=())
    run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    assert calls(tmp_path) == [1]
    assert Table.read(tmp_path / "table.parquet")["arm"].tolist() == ["a", "a", "b", "b"]


def test_a_changed_claim_is_marked(tmp_path, quiet) -> None:
    plan = toy_study.study().at("smoke")
    run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    easier = dataclasses.replace(plan.claims[0], expected=plan.claims[1].expected)
    changed = dataclasses.replace(plan, claims=(easier, *plan.claims[1:]))
    found = run_study(changed, tmp_path, executor=InProcess(), console=quiet)
    assert [v.note for v in found.verdicts] == ["the claim was changed after the first cell ran", "", ""]
    about = json.loads((tmp_path / "study.json").read_text())
    for claim in about["claims"]:
        del claim["power"]["confirmable"]  # a version that said less about power
    about["claims"][1]["power"]["smallest_effect"] = 0.123
    (tmp_path / "study.json").write_text(json.dumps(about))
    found = run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    assert [v.note for v in found.verdicts] == ["", "the claim was changed after the first cell ran", ""]


@pytest.mark.parametrize(("scale", "said"), [("smoke", 1), ("laptop", 0)])
def test_smoke_verdicts_say_that_they_mean_nothing(tmp_path, quiet, scale, said) -> None:
    found = run_study(toy_study.study().at(scale), tmp_path, executor=InProcess(), console=quiet)
    before = quiet.file.getvalue()
    show_verdicts(found.verdicts, scale, quiet)
    remark = "take verdicts from a larger scale."
    assert (tmp_path / "verdicts.md").read_text().count(remark) == said
    assert quiet.file.getvalue().removeprefix(before).count(remark) == said


def test_one_engine_at_a_time(tmp_path, quiet) -> None:
    plan = toy_study.study().at("smoke")
    run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    with Store(tmp_path).locked(), pytest.raises(InvalidValue, match="another process is at work in"):
        run_study(plan, tmp_path, executor=InProcess(), console=quiet)


def test_a_dry_run_says_cost_and_power(tmp_path, quiet) -> None:
    plan, store = toy_study.study().at("laptop"), Store(tmp_path / "new")
    show_plan(plan, store, quiet, jobs=4)
    text = " ".join(quiet.file.getvalue().split())
    assert "toy at scale laptop: Is the mean of the seeds what it is?" in text
    assert "measured 8 0 8,000 16" in text
    assert "to do: 8 cells, 8,000 per-sample gradients, about 4 s with --jobs 4" in text
    assert "T1 expected in (7.5, 8.5); exact the largest value is the number of seeds always decided" in text
    assert "expected < 100; bootstrap over 8 seeds, 95%" in text
    assert "decided from 1.2 off the boundary; undecided at 2 with probability 0.00" in text
    assert "exact binomial over 8 seeds, 95%" in text
    assert not store.path.exists()


def test_status_runs_nothing(tmp_path, quiet) -> None:
    plan = toy_study.study(*(toy_study.cell(i, does=how) for i, how in enumerate(("no", "raise", "interrupt")))).at(
        "smoke"
    )
    run_study(plan, tmp_path, executor=InProcess(), console=quiet)
    before = quiet.file.getvalue()
    show_status(plan, Store(tmp_path), quiet)
    text = quiet.file.getvalue().removeprefix(before)
    assert f"toy at scale smoke in {tmp_path}: 1 finished, 1 failed, 1 missing" in " ".join(text.split())
    assert "failed: measured seed=1 does=raise: ValueError: three lines here" in text
    assert "missing: measured seed=2 does=interrupt" in text
    assert calls(tmp_path) == [0, 1, 2]


def test_mistakes_in_a_study(tmp_path) -> None:
    with pytest.raises(InvalidValue, match="cell function is 'toy_study:nothing': module 'toy_study' has no attribute"):
        Cell("toy_study:nothing").key  # noqa: B018
    with pytest.raises(InvalidType, match="toy_study:study declares no version"):
        Cell("toy_study:study").key  # noqa: B018
    with pytest.raises(InvalidValue, match="settings of f are not plain data"):
        Cell("f", {"lr": float("nan")})
    with pytest.raises(InvalidValue, match="toy: two cells are the same"):
        toy_study.study(toy_study.cell(1), toy_study.cell(1)).at("smoke")
    with pytest.raises(InvalidType, match="toy_study:no_study returned 3: expected a Study"):
        find_study("toy_study:no_study")


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """A command line in this process: exit status, standard output, standard error."""
    from manypaths.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("warnings.showwarning", None)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["manypaths", "study", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return (left.value.code or 0, *capsys.readouterr())

    return run


def test_the_command_line(tmp_path, command, monkeypatch) -> None:
    def error(*arguments: str) -> str:
        status, _, text = command(*arguments)
        assert (status, text.count("\n")) == (2, 1), text
        return text

    assert "unknown study 'noise-counterexampel': did you mean 'noise-counterexample'?" in error("noise-counterexampel")
    assert "did you mean 'laptop'?" in error("noise-counterexample", "--scale", "labtop")
    assert "study is 'toy_study:nothing': module 'toy_study' has no attribute" in error("toy_study:nothing")
    assert "runs/toy-smoke holds no study yet" in error("toy_study:study", "--status")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    assert "is not the directory of a study" in error("toy_study:study", "--out", "full")
    status, text, _ = command("toy_study:study", "--dry-run")
    assert (status, "3 cells" in text) == (0, True)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    status, text, _ = command("toy_study:study")
    assert status == 0
    assert "finished: 3 of 3 cells; directory: runs/toy-smoke" in text
    assert "holds" in text
    status, text, _ = command("toy_study:study", "--status")
    assert "3 finished, 0 failed, 0 missing" in text
    other = error("toy_study:study", "--scale", "laptop", "--out", "runs/toy-smoke")
    assert "runs/toy-smoke holds the study toy at scale smoke: expected toy at laptop" in other
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'manypaths[study]'" in error("toy_study:study")


def test_a_recipe_is_a_cell_that_resumes_its_run(tmp_path, quiet, monkeypatch) -> None:
    from manypaths.experiments.runs import run_cell
    from manypaths.recipes import RECIPES
    from manypaths.run.loop import Run

    quick = {"steps": 4, "log_every": 2, "noise_every": 0, "samples_every": 0, "checkpoint_every": 2}
    recipe = RECIPES["digits-adam"]().with_(quick)
    wild = recipe.with_({"optimizers.critic": "sgd"}).with_({"optimizers.critic.lr": 1e30})
    cells = run_cell(recipe, {"method": "adam", "seed": 0}), run_cell(wild, {"method": "wild", "seed": 0})
    plan = dataclasses.replace(toy_study.study().at("smoke"), cells=cells, claims=())
    plan = dataclasses.replace(plan, study=dataclasses.replace(plan.study, figures={}))
    took, step = [], Run.step

    def interrupted_step(run: Run):
        info = step(run)
        took.append(run.training.steps)
        if len(took) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return info

    monkeypatch.setattr(Run, "step", interrupted_step)
    assert run_study(plan, tmp_path, executor=InProcess(), console=quiet).state == "interrupted"
    assert run_study(plan, tmp_path, executor=InProcess(), console=quiet).state == "finished"
    assert took[:4] == [1, 2, 3, 4], "goes on from its checkpoint"
    table = Table.read(tmp_path / "table.parquet")
    tame = table.where(method="adam")
    assert tame["step"].tolist() == [2.0, 4.0]
    assert {"loss/critic", "loss/generator", "evaluations", "state"} <= set(table.names)
    assert set(tame["state"]) == {"finished"}
    assert table.where(method="wild")["state"].tolist()[-1] == "diverged"


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (18, 70, ["20", "30", "40", "60"]),
        (18, 700, ["20", "50", "100", "200", "500"]),
        (1250, 1650, [str(1250 + 50 * i) for i in range(9)]),
        (1, 1e6, None),
    ],
)
def test_short_logarithmic_axes_are_labelled_plainly(low, high, labels) -> None:
    figure, (panel,) = canvas()
    panel.set(yscale="log", ylim=(low, high), xscale="log", xlim=(1, 5))
    panel.set_xticks([2, 4], ["two", "four"])
    png(figure)
    ticks = [*zip(panel.get_yticks(), panel.get_yticklabels(), strict=True)]
    ticks += zip(panel.get_yticks(minor=True), panel.get_yticklabels(minor=True), strict=True)
    found = [label.get_text() for at, label in sorted(ticks, key=lambda t: t[0]) if low <= at <= high]
    plain = [text for text in found if text]
    assert plain == labels if labels else all("10^" in text for text in plain)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["two", "four"]


def test_a_cell_that_moved_keeps_its_address() -> None:
    """The address of before the engine became ``manypaths.experiments``."""
    identity = ["manypaths.studies.engine.runs:train", 1, {"recipe": {}}]
    old = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]
    assert Cell("manypaths.experiments.runs:train", {"recipe": {}}).key == old
