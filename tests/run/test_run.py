"""Runs: what is written, resuming bit for bit, divergence, interruption."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from manypaths import cli
from manypaths.errors import InvalidType, InvalidValue
from manypaths.run import checkpoint
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe


def equal(a, b) -> bool:
    """Bitwise equality of nested plain data."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def final(path: Path) -> dict:
    return checkpoint.load(path / "checkpoint.pt")["training"]


def test_a_run_writes_its_directory(tiny, whole) -> None:
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6, 8, 10, 12]
    known = {"second_moment", "variance", "squared_mean", "ratio", "age"}
    worth = {"correlation", "bound", "equivalent_batch", "cost", "noise_scale"}
    assert set(rows[1]["noise"]["critic"]) == known | worth
    assert rows[-1]["passes"] == pytest.approx(rows[-1]["evaluations"] / 2 / 512, rel=1e-5)
    pictures = sorted(p.name for p in (whole / "samples").glob("last-*.png"))
    assert pictures == [f"last-{step:07d}.png" for step in (0, 5, 10, 12)]
    assert Recipe.read(whole / "recipe.json") == tiny
    assert list((whole / "tensorboard").iterdir())
    status = json.loads((whole / "status.json").read_text())
    assert (status["state"], status["step"]) == ("finished", 12)


@pytest.mark.parametrize("stop", [1, 3, 4, 7, 11])
def test_resumed_at_any_step_equals_uninterrupted(tiny, whole, tmp_path, stop) -> None:
    Run(tiny.with_({"steps": stop}), tmp_path / "parts").train()
    Run(tiny, tmp_path / "parts", resume=True).train()
    assert equal(final(whole), final(tmp_path / "parts"))
    losses = [
        [(r["step"], r["loss"]) for r in map(json.loads, (path / "metrics.jsonl").read_text().splitlines())]
        for path in (whole, tmp_path / "parts")
    ]
    assert set(map(str, losses[0])) <= set(map(str, losses[1]))


def test_ctrl_c_saves_and_says_how_to_go_on(tiny, whole, tmp_path) -> None:
    class PressesCtrlC:
        def show(self, row):
            if row["step"] == 4:
                os.kill(os.getpid(), signal.SIGINT)

        def close(self):
            pass

    status = Run(tiny, tmp_path / "parts").train([PressesCtrlC()])
    assert (status.state, status.step) == ("interrupted", 4)
    assert status.message == f"go on with: manypaths run {tmp_path / 'parts'} --resume"
    assert Run(tiny, tmp_path / "parts", resume=True).train().state == "finished"
    assert equal(final(whole), final(tmp_path / "parts"))


def test_kill_nine_at_random_moments(tmp_path, monkeypatch) -> None:
    """Ten kills of a digits run, each resumed; the end equals the run that nobody touched."""
    changes = {"steps": 120, "checkpoint_every": 2, "samples_every": 30, "noise_every": 20, "log_every": 1}
    settings = [x for k, v in changes.items() for x in ("--set", f"{k}={v}")]

    def start(name: str) -> BaseProcess:
        resume = ["--resume"] if (tmp_path / name / "recipe.json").exists() else []
        arguments = ["run", "digits-svre", "--out", str(tmp_path / name), *settings, *resume]
        monkeypatch.setattr(sys, "argv", ["manypaths", *arguments])
        process = multiprocessing.get_context("forkserver").Process(target=cli.main)
        process.start()
        return process

    draw, metrics = torch.Generator().manual_seed(5), tmp_path / "parts" / "metrics.jsonl"
    for _ in range(10):
        before = rows(metrics)
        more, delay = int(torch.randint(8, (), generator=draw)), 0.05 * float(torch.rand((), generator=draw))
        kill(start("parts"), metrics, before, more, delay)
    for name in ("parts", "whole"):
        process = start(name)
        process.join()
        assert process.exitcode == 0
    assert equal(final(tmp_path / "whole"), final(tmp_path / "parts"))


def rows(metrics: Path) -> int:
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def kill(process: BaseProcess, metrics: Path, before: int, more: int, delay: float) -> None:
    """Some rows and a moment after it took back the rows that no checkpoint covers, or wrote one."""
    wait_until(lambda: rows(metrics) != before, process)
    enough = rows(metrics) + more
    wait_until(lambda: rows(metrics) >= enough, process)
    time.sleep(delay)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def wait_until(done: Callable[[], bool], process: BaseProcess) -> None:
    while not done():
        assert process.exitcode is None, "it ended before it was killed"
        time.sleep(0.002)


def test_divergence_is_a_status_and_keeps_the_last_good_checkpoint(tiny, tmp_path) -> None:
    from torch.optim import SGD

    from manypaths.specs import Spec

    wild = tiny.with_(
        {
            "optimizers": {n: Spec(SGD, lr=1e30) for n in ("critic", "generator")},
            "oracle.when": "always",
            "oracle.check_every": 50,
        }
    )
    status = Run(wild, tmp_path / "r").train()
    assert status.state == "diverged"
    assert status.message.startswith(f"at step {status.step}, ")
    assert "of critic" in status.message or "of generator" in status.message
    weights = final(tmp_path / "r")["game"]["critic"]
    assert all(torch.isfinite(w.double()).all() for w in weights.values())


def test_a_checkpoint_of_another_recipe_is_refused(tiny, tmp_path) -> None:
    Run(tiny.with_({"steps": 1}), tmp_path / "r").train()
    message = r"oracle.batch is 64 there and 32 here; a resumed run keeps its settings.*: --set start_from=.*r --out"
    with pytest.raises(InvalidType, match=message):
        Run(tiny.with_({"oracle.batch": 32}), tmp_path / "r", resume=True)
    with pytest.raises(InvalidType, match=r"optimizers.critic.lr is 0.001 there and 0.0001 here; a resumed run keeps"):
        Run(tiny.with_({"optimizers.critic.lr": 1e-4}), tmp_path / "r", resume=True)
    with pytest.raises(InvalidType, match=r"threads is 1 there and 2 here; a resumed run keeps"):
        Run(tiny.with_({"threads": 2}), tmp_path / "r", resume=True)
    assert Run(tiny.with_({"threads": None}), tmp_path / "r", resume=True).recipe.threads == 1
    with pytest.raises(InvalidValue, match="already holds a run: add --resume"):
        Run(tiny, tmp_path / "r")
    with pytest.raises(InvalidValue, match="holds no run to resume"):
        Run(tiny, tmp_path / "nothing", resume=True)


def test_a_critic_with_a_column_of_scores_is_refused_before_training(tiny, tmp_path) -> None:
    from manypaths.models.mlp import MlpCritic
    from manypaths.specs import Spec

    class Column(MlpCritic):
        """Scores (N, 1)."""

        def forward(self, data):
            return super().forward(data)[:, None]

    with pytest.raises(InvalidValue, match=r"returned shape \(8, 1\) for a batch of 8: expected \(8,\)"):
        Run(tiny.with_({"game.critic": Spec(Column, shape=(1, 8, 8))}), tmp_path / "r")
    assert not (tmp_path / "r").exists(), "nothing is left behind"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"game.generator.latent": 7}, "the generator does not take latents of shape (8, 4)"),
        ({"game.generator.size": 28}, "the generator makes data of shape (1, 28, 28) and the data set's is (1, 8, 8)"),
        ({"game.critic.size": 28}, "the critic does not take data of shape (1, 8, 8)"),
        ({"oracle.batch": 5000}, "batch is 5000: expected at most the 512 component functions"),
        ({"source.latents": "fresh"}, "SVRG needs a finite sum and latents='fresh' makes this source infinite"),
        ({"averages.uniform.of": "extrapolated"}, "use Extragradient(keep_extrapolated=True)"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_training(tiny, tmp_path, change, message) -> None:
    with pytest.raises((InvalidValue, InvalidType)) as caught:
        Run(tiny.with_(change), tmp_path / "r")
    assert message in str(caught.value)
    assert not (tmp_path / "r").exists()


def test_measuring_changes_nothing(tiny, whole, tmp_path) -> None:
    Run(tiny.with_({"noise_every": 0, "samples_every": 0, "log_every": 5}), tmp_path / "b").train()
    assert equal(final(whole), final(tmp_path / "b"))


def test_a_budget_of_evaluations_ends_the_run(tiny, tmp_path) -> None:
    run = Run(tiny.with_({"steps": 1000, "evaluations": 20_000}), tmp_path / "r")
    status = run.train()
    assert status.state == "finished"
    assert 20_000 <= run.evaluations < 30_000


def test_execution_is_a_setting_like_any_other(tiny, tmp_path) -> None:
    """Text sets it, old recipes lack it, resuming checks it, and it is there before the optimisers are."""
    plain = tiny.to_plain()
    assert plain["execution"] == {
        "name": "torch",
        "precision": "full",
        "memory": "auto",
        "compile": False,
        "capture": False,
        "concurrent": "auto",
        "critic_pass": "auto",
        "kernels": "stock",
    }
    old = {name: value for name, value in plain.items() if name != "execution"}
    assert Recipe.from_plain(old) == tiny
    with pytest.raises(InvalidValue, match="did you mean 'bfloat16'"):
        tiny.with_({"execution.precision": "bfloat6"})
    with pytest.raises(InvalidValue, match="capture is True and the device is 'cpu'"):
        tiny.with_({"execution.capture": "true"}).check()
    changed = tiny.with_({"execution.precision": "bfloat16", "execution.memory": "channels_last", "noise_every": 0})
    Run(changed, tmp_path / "whole").train()
    Run(changed.with_({"steps": 4}), tmp_path / "parts").train()
    with pytest.raises(InvalidType, match="another recipe: execution.precision is 'bfloat16' there and 'full' here"):
        Run(changed.with_({"execution.precision": "full"}), tmp_path / "parts", resume=True)
    resumed = Run(changed, tmp_path / "parts", resume=True)
    resumed.train()
    assert equal(final(tmp_path / "whole"), final(tmp_path / "parts"))
    game, optimizers = resumed.training.game, resumed.training.optimizers
    images = [p for name in game.players for p in game.parameters(name) if p.ndim == 4]
    moments = {p: state["exp_avg"] for base in optimizers.values() for p, state in base.state.items()}
    assert len(images) == 6
    for p in images:
        assert p.is_contiguous(memory_format=torch.channels_last)
        assert moments[p].stride() == p.stride()
    assert resumed.training.notes[-1].startswith("the samples of a batch are coupled"), "a CPU needs no note"
