"""The command line as a user meets it: exit status, one line, before any work."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import warnings

import pytest

from manypaths.cli import main


def manypaths(*arguments: str, cwd, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "manypaths.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment})


def one_line(status: int, errors: str) -> str:
    assert status == 2, errors
    assert errors.count("\n") == 1, errors
    assert errors.startswith("error: ")
    return errors


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """The same in this process: importing torch takes seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path / "nothing"))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["manypaths", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return subprocess.CompletedProcess(arguments, left.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def mistake(here):
    """Run a command line that must fail, and return its one line."""

    def run(*arguments: str) -> str:
        done = here(*arguments)
        return one_line(done.returncode, done.stderr)

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "digits-svr"], "unknown recipe 'digits-svr': did you mean 'digits-svre'?"),
        (["run", "digits-svre", "--set", "oracle.bacth=3"], "did you mean 'batch'?"),
        (["run", "digits-svre", "--set", "oracle.batch=-3"], "oracle.batch is -3: expected a number >= 1"),
        (["run", "digits-svre", "--set", "oracle.batch"], "expected PATH=VALUE"),
        (["run", "digits-svre", "--set", "source.latents=fresh"], "needs a finite sum"),
        (["run", "digits-svre", "--set", "optimizers.critic.lr=-1"], "optimizers.critic: Invalid learning rate: -1"),
        (["run", "nowhere.json"], "nowhere.json does not exist"),
        (["run", "digits-svre", "--set", "rule=alternating"], "alternating lacks order"),
        (["run", "digits-svre", "--set", "game=bilinear"], "lacks matrices"),
        (
            ["run", "digits-svre", "--set", "optimizers.critic=torch.optim:LBFGS"],
            "whose step needs no closure",
        ),
        (["run", "digits-adam", "--set", "oracle=svrg"], "expected latents='paired' (--set source.latents=paired)"),
        (["run", "digits-svre", "--set", "source.latents=Paired"], "did you mean 'paired'?"),
        (["run", "digits-svre", "--set", "steps=1", "--out", "/dev/null/x"], "/dev/null/x"),
        (["run", "digits-svre", "--resume"], "holds no run to resume"),
        (["report", "."], "holds no run"),
        (["list", "rulez"], "unknown kind 'rulez'"),
        (["evaluate", "."], "holds no run"),
        (["run", "mnist-ws-svre"], "MNIST is not in"),
    ],
)
def test_mistakes_are_one_line(tmp_path, mistake, arguments, message) -> None:
    assert message in mistake(*arguments)
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_missing_and_damaged_mnist(tmp_path, mistake, monkeypatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    message = mistake("run", "mnist-svre", "--data-dir", "data")
    for part in ("data/mnist", "train-images-idx3-ubyte.gz", "--data-dir", "MANYPATHS_DATA"):
        assert part in message
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    header = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28])
    (folder / "train-images-idx3-ubyte").write_bytes(header + bytes(100))
    assert "holds 100 bytes of data: expected 1568" in mistake("run", "mnist-svre", "--data-dir", "data")
    (folder / "train-images-idx3-ubyte").unlink()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + bytes(1568))[:-30])
    assert "is damaged" in mistake("run", "mnist-svre", "--data-dir", "data")


def test_run_resume_report(tmp_path, here, mistake) -> None:
    settings = ["--set", "steps=6", "--set", "noise_every=3", "--set", "samples_every=3", "--set", "log_every=1"]
    done = manypaths("run", "digits-svre", *settings, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "finished after 6 steps" in done.stdout
    assert "already holds a run: add --resume" in mistake("run", "digits-svre", *settings)
    more = here("run", "runs/digits-svre", "--set", "steps=8", "--resume")
    assert "finished after 8 steps" in more.stdout, more.stderr
    page = here("report", "runs/digits-svre")
    assert page.stdout.strip() == str(tmp_path / "report.html")
    assert "digits-svre" in (tmp_path / "report.html").read_text()


def test_divergence_has_its_own_exit_status(here) -> None:
    wild = ["--set", "optimizers.critic=sgd", "--set", "optimizers.critic.lr=1e30", "--set", "samples_every=0"]
    done = here("run", "digits-svre", *wild)
    assert done.returncode == 3
    assert "diverged after" in done.stdout
    assert "the last good checkpoint, of step" in done.stdout


def test_help_and_list_answer_without_torch(tmp_path) -> None:
    for arguments in (["--help"], ["run", "--help"], ["list"]):
        code = f"import sys; sys.modules['torch'] = None; sys.argv = ['manypaths', *{arguments!r}]; " + (
            "from manypaths.cli import main; main()"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout) > 200


def test_show_prints_the_resolved_recipe(tmp_path, here) -> None:
    import json

    done = here("run", "digits-svre", "--set", "oracle.batch=16", "--show")
    assert json.loads(done.stdout)["oracle"]["batch"] == 16
    assert not list(tmp_path.iterdir())
