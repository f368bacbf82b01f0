"""Nothing from a stranger's file runs or leaves its folder: recipes and run directories that try, through the command.

Each one is refused in one line, with nothing imported (the module ``marker`` would leave a file), nothing called, and
nothing written.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from manypaths import Recipe, Run, Spec, load
from manypaths.errors import InputError, InvalidType, InvalidValue, Untrusted
from manypaths.experiments.base import Study
from manypaths.experiments.cells import Cell, Task
from manypaths.experiments.executor import ProcessPool
from manypaths.recipes import RECIPES
from manypaths.rules.base import Rule
from manypaths.rules.simultaneous import Simultaneous
from manypaths.run import checkpoint
from manypaths.user_code import check_contract
from manypaths.user_code import load as load_code

MARKER = "from pathlib import Path\nPath('PWNED').touch()\nclass Anything: pass\n"
TINY = {"steps": 2, "samples_every": 0, "noise_every": 0, "log_every": 1, "checkpoint_every": 1}
TRY = {
    "a metric that calls a shell": ({"metrics": [{"name": "subprocess:getoutput", "cmd": "touch PWNED"}]}, "metric"),
    "a rule that calls a shell": ({"rule": {"name": "os:system", "command": "touch PWNED"}}, "rule"),
    "eval as an objective": ({"game.objective": {"name": "builtins:eval"}}, "objective"),
    "a module beside the recipe": ({"rule": {"name": "marker:Anything"}}, "rule"),
    "a module inside another part": ({"game.generator": {"name": "marker:Anything"}}, "model"),
    "a data set's module": ({"data": {"name": "torch-dataset", "dataset": "marker:Anything"}}, "code"),
    "torch's own that loads files": ({"game.generator": {"name": "torch.hub:load"}}, "model"),
    "a function that trusts another folder": (
        {"game.generator": {"name": "manypaths.run.export:load", "run": "evil", "trust_code": True}},
        "model",
    ),
    "torch's own, of another contract": ({"rule": {"name": "torch.optim:Adam"}}, "no Rule"),
    "a part nested where a number stands": ({"oracle.batch": {"name": "os:system"}}, "expected int"),
    "a function of this package": ({"rule": {"name": "manypaths.files:remove_leftovers"}}, "no Rule"),
    "a class of another contract": ({"rule": {"name": "manypaths.metrics.fid:Fid"}}, "no Rule"),
    "a pickle as weights": ({"metrics": [{"name": "fid", "weights": "weights-inception.pth"}]}, "pickle"),
    "a name that leaves the folder": ({"name": "../outside"}, "expected a plain name"),
    "an absolute name": ({"name": "/tmp/outside"}, "expected a plain name"),
    "a name with a zero in it": ({"name": "a\0b"}, "expected a plain name"),
    "an average that leaves the folder": ({"averages": {"/../../../victim": {"name": "ema"}}}, "expected a plain name"),
    "an average in the place of the iterate": ({"averages": {"last": {"name": "ema"}}}, "which is the last iterate"),
    "a name that is no name": ({"rule": {"name": "os.path:../x"}}, "expected package.module:Class"),
}


def changed(changes: dict) -> dict:
    plain = {**RECIPES["digits-adam"]().to_plain(), **TINY}
    for path, value in changes.items():
        *folders, last = path.split(".")
        inner = plain
        for name in folders:
            inner = inner[name]
        inner[last] = value
    return plain


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module that betrays itself, and nothing else."""
    (tmp_path / "marker.py").write_text(MARKER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "marker", raising=False)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    return tmp_path


def command(monkeypatch, capsys, *words: str) -> tuple[int, str]:
    """Exit status and last line of the command's complaints, in this process."""
    from manypaths.cli import main

    monkeypatch.setattr("sys.argv", ["manypaths", *words])
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0), (capsys.readouterr().err.strip().splitlines() or [""])[-1]
    return 0, ""


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in str(p)}


@pytest.mark.parametrize("how", ["run FILE", "run FILE --show", "run DIR --resume", "evaluate DIR"])
@pytest.mark.parametrize("what", TRY)
def test_it_is_refused_in_one_line(what, how, stranger, monkeypatch, capsys) -> None:
    changes, said = TRY[what]
    (stranger / "run").mkdir()
    for path in (stranger / "recipe.json", stranger / "run" / "recipe.json"):
        path.write_text(json.dumps(changed(changes)))
    before = files(stranger)
    words = [{"FILE": "recipe.json", "DIR": "run"}.get(word, word) for word in how.split()]
    status, line = command(monkeypatch, capsys, *words)
    shown = "--show" in words and "is " not in said and "no " not in said and "expected" not in said
    assert status == (0 if shown else 2)
    assert line.startswith("note: shown as it is written, for recipe.json names" if shown else "error: ")
    assert said in line
    assert "marker" not in sys.modules
    assert files(stranger) == before, "something was written or executed"


def test_load_and_report_import_nothing(stranger, monkeypatch, capsys) -> None:
    (stranger / "run").mkdir()
    (stranger / "run" / "recipe.json").write_text(json.dumps(changed({"rule": {"name": "marker:Anything"}})))
    (stranger / "run" / "generator-last.safetensors").write_bytes(b"")
    with pytest.raises(InvalidValue, match="names 'marker:Anything' as its rule.*trust_code=True"):
        load("run")
    assert command(monkeypatch, capsys, "report", "run") == (0, "")
    assert "marker" not in sys.modules
    assert not (stranger / "PWNED").exists()


def test_a_checkpoint_with_code_in_it_is_refused(stranger, monkeypatch, capsys) -> None:
    class Payload:
        def __reduce__(self):
            return os.system, ("touch PWNED",)

    (stranger / "run").mkdir()
    torch.save({"format": 1, "training": Payload()}, stranger / "run" / "checkpoint.pt", pickle_module=pickle)
    (stranger / "run" / "recipe.json").write_text(json.dumps(changed({"threads": 1})))
    (stranger / "warm.json").write_text(json.dumps(changed({"start_from": "run"})))
    for words in (("run", "run", "--resume"), ("evaluate", "run"), ("run", "warm.json", "--out", "new")):
        status, line = command(monkeypatch, capsys, *words)
        assert (status, "is not a readable checkpoint" in line) == (2, True), line
    assert not (stranger / "PWNED").exists()


def test_what_the_user_types_or_trusts_is_imported(stranger, monkeypatch, capsys) -> None:
    (stranger / "mine.py").write_text(
        "from dataclasses import dataclass\nfrom manypaths import Simultaneous\n\n"
        "@dataclass(frozen=True)\nclass Own(Simultaneous):\n    pass\n"
    )
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    tiny = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
    assert command(monkeypatch, capsys, "run", "digits-adam", *tiny, "--set", "rule=mine:Own", "--out", "r")[0] == 0
    status, line = command(monkeypatch, capsys, "run", "r", "--resume")
    assert (status, "names 'mine:Own' as its rule" in line) == (2, True)
    assert line.endswith(": manypaths run r --resume --trust-code")
    assert command(monkeypatch, capsys, "run", "r", "--resume", "--trust-code")[0] == 0
    own = Recipe.read(Path("r/recipe.json"), trust_code=True)
    assert "--trust-code" in Run(own, Path("r"), resume=True).resume_command()
    with pytest.raises(InputError, match="names 'mine:Own'"):
        Run.opened(Path("r"))


def test_files_in_the_current_folder_hide_no_module(stranger) -> None:
    for name in ("ast", "random", "json", "queue", "jinja2", "torch", "typer", "numpy", "rich", "copy"):
        (stranger / f"{name}.py").write_text("from pathlib import Path\nPath('PWNED').touch()\nraise SystemExit(7)\n")
    (stranger / "run").mkdir()
    (stranger / "run" / "recipe.json").write_text(json.dumps(changed({})))
    code = "import sys; sys.argv[0] = 'manypaths'; from manypaths.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    # -P: as the installed command, whose path begins with the folder of the command
    for start in (["-P", "-c", code], ["-m", "manypaths"]):
        for words in (["list"], ["run", "digits-adam", "--show"], ["report", "run"]):
            done = subprocess.run([sys.executable, *start, *words], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    assert not (stranger / "PWNED").exists()


def test_a_checkpoint_is_not_trusted_for_what_the_recipe_says_elsewhere(stranger, monkeypatch, capsys) -> None:
    """``net`` is a name that nobody resolves here; that makes it no code that the reader knows."""
    Run(RECIPES["digits-adam"]().with_({k: str(v) for k, v in TINY.items()}), stranger / "r").train()
    monkeypatch.setattr("sys.path", [p for p in sys.path if p != ""])
    recipe = json.loads((stranger / "r" / "recipe.json").read_text())
    (stranger / "r" / "recipe.json").write_text(json.dumps({**recipe, "net": "marker:Anything"}))
    state = checkpoint.load(stranger / "r" / "checkpoint.pt")
    other = {**recipe, "rule": {"name": "marker:Anything"}}
    checkpoint.save(stranger / "r" / "checkpoint.pt", {**state, "recipe": other})
    status, line = command(monkeypatch, capsys, "run", "r", "--resume")
    assert (status, "checkpoint.pt names 'marker:Anything' as its rule" in line) == (2, True), line
    assert not (stranger / "PWNED").exists()


def test_a_pickle_that_the_recipe_at_hand_names_is_known(stranger) -> None:
    recipe = Recipe.from_plain(changed({"metrics": [{"name": "fid", "weights": "w.pth"}], "threads": 1}))
    assert recipe.code_names() == {"w.pth"}
    Run(recipe, stranger / "r").train()
    with pytest.raises(Untrusted, match="names 'w.pth'"):
        Run.opened(Path("r"))
    assert Run(recipe, stranger / "r", resume=True).training.steps == 2


@pytest.mark.parametrize("study", ["os:getcwd", "pathlib:Path", "manypaths.files:read_json"])
def test_a_study_that_is_none_is_not_called(study, stranger, monkeypatch, capsys) -> None:
    status, line = command(monkeypatch, capsys, "study", study)
    assert (status, "and no Study" in line) == (2, True), line


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", ".x", "", "x" * 101, "a\0b"])
def test_names_of_studies_and_figures_are_plain(name) -> None:
    plain = {"question": "?", "cells": lambda scale: [], "claims": lambda scale: []}
    with pytest.raises(InvalidValue, match="expected a plain name"):
        Study(name=name, **plain)
    with pytest.raises(InvalidValue, match="expected a plain name"):
        Study(name="x", figures={name: str}, **plain)


def test_workers_of_a_study_do_not_look_here_first(stranger) -> None:
    for name in ("random", "socket", "pickle", "queue", "tempfile"):
        (stranger / f"{name}.py").write_text("from pathlib import Path\nPath('PWNED').touch()\nraise SystemExit(7)\n")
    cell = Cell("manypaths.studies.bilinear_figure4.runs:nothing")
    with ProcessPool(1) as pool:
        pool.submit(Task(cell, stranger / "cell"))
        (outcome,) = pool
    assert "has no attribute 'nothing'" in str(outcome.error)
    assert not (stranger / "PWNED").exists()


def made() -> Rule:
    return Simultaneous()


def unsaid():
    return Simultaneous()


def test_functions_say_what_they_return() -> None:
    check_contract(made, "tests:made", Rule)
    with pytest.raises(InvalidType, match="tests:unsaid is a function and no Rule: expected a class of Rule, or"):
        check_contract(unsaid, "tests:unsaid", Rule)
    with pytest.raises(InvalidValue, match="rule is 'no:thing:here': expected package.module:Class"):
        load_code("no:thing:here", "rule")
    assert Spec(made).build() == Simultaneous()
