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
from manypaths.errors import InputError, InvalidType, InvalidValue
from manypaths.recipes import RECIPES
from manypaths.rules.base import Rule
from manypaths.rules.simultaneous import Simultaneous
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
    "torch's own, of another contract": ({"rule": {"name": "torch.hub:load"}}, "no Rule"),
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
    """Exit status and last line of the command, in this process."""
    from manypaths.cli import main

    monkeypatch.setattr("sys.argv", ["manypaths", *words])
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0), capsys.readouterr().err.strip().splitlines()[-1] if left.code else ""
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
    assert status == 2
    assert line.startswith("error: ")
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
    assert (status, "names 'mine:Own' as its rule" in line, "--trust-code" in line) == (2, True, True)
    assert command(monkeypatch, capsys, "run", "r", "--resume", "--trust-code")[0] == 0
    own = Recipe.read(Path("r/recipe.json"), trust_code=True)
    assert "--trust-code" in Run(own, Path("r"), resume=True).resume_command()
    with pytest.raises(InputError, match="names 'mine:Own'"):
        Run.opened(Path("r"))


def test_files_in_the_current_folder_hide_no_module(stranger) -> None:
    for name in ("random", "json", "queue", "jinja2", "torch", "typer", "numpy", "rich", "copy"):
        (stranger / f"{name}.py").write_text("from pathlib import Path\nPath('PWNED').touch()\nraise SystemExit(7)\n")
    code = "import sys; sys.argv[0] = 'manypaths'; from manypaths.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    for words in (["list"], ["run", "digits-adam", "--show"]):
        # -P: as the installed command, whose path begins with the folder of the command
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *words], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert not (stranger / "PWNED").exists()


def made() -> Rule:
    return Simultaneous()


def unsaid():
    return Simultaneous()


def test_functions_say_what_they_return() -> None:
    assert check_contract(made, "tests:made", Rule) is made
    with pytest.raises(InvalidType, match="tests:unsaid is a function and no Rule: expected a class of Rule, or"):
        check_contract(unsaid, "tests:unsaid", Rule)
    with pytest.raises(InvalidValue, match="rule is 'no:thing:here': expected package.module:Class"):
        load_code("no:thing:here", "rule")
    assert Spec(made).build() == Simultaneous()
