"""Runs: what is written, resuming bit for bit, divergence, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

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


def test_a_run_writes_its_directory(tiny, tmp_path) -> None:
    status = Run(tiny, tmp_path / "r", command="manypaths run tiny").train()
    assert (status.state, status.step) == ("finished", 12)
    rows = [json.loads(line) for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6, 8, 10, 12]
    assert set(rows[1]["noise"]["critic"]) == {"second_moment", "variance", "squared_mean", "ratio", "age"}
    assert rows[-1]["passes"] == pytest.approx(rows[-1]["evaluations"] / 2 / 1797, rel=1e-5)
    pictures = sorted(p.name for p in (tmp_path / "r" / "samples").glob("last-*.png"))
    assert pictures == [f"last-{step:07d}.png" for step in (0, 5, 10, 12)]
    assert Recipe.read(tmp_path / "r" / "recipe.json") == tiny
    assert list((tmp_path / "r" / "tensorboard").iterdir())
    assert json.loads((tmp_path / "r" / "status.json").read_text())["state"] == "finished"


@pytest.mark.parametrize("stop", [1, 3, 4, 7, 11])
def test_resumed_at_any_step_equals_uninterrupted(tiny, tmp_path, stop) -> None:
    Run(tiny, tmp_path / "whole").train()
    Run(tiny.with_({"steps": stop}), tmp_path / "parts").train()
    Run(tiny, tmp_path / "parts", resume=True).train()
    assert equal(final(tmp_path / "whole"), final(tmp_path / "parts"))
    losses = [
        [(r["step"], r["loss"]) for r in map(json.loads, (tmp_path / n / "metrics.jsonl").read_text().splitlines())]
        for n in ("whole", "parts")
    ]
    assert set(map(str, losses[0])) <= set(map(str, losses[1]))


def test_ctrl_c_saves_and_says_how_to_go_on(tiny, tmp_path) -> None:
    Run(tiny, tmp_path / "whole").train()

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
    assert equal(final(tmp_path / "whole"), final(tmp_path / "parts"))


def test_kill_nine_at_random_moments(tmp_path) -> None:
    """Ten kills of a digits run, each resumed; the end equals the run that nobody touched."""
    command = [sys.executable, "-m", "manypaths.cli", "run", "digits-svre", "--out"]
    changes = {
        "steps": 300,
        "checkpoint_every": 2,
        "samples_every": 70,
        "noise_every": 50,
        "log_every": 1,
        "threads": 1,
    }
    settings = [x for k, v in changes.items() for x in ("--set", f"{k}={v}")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*command, str(tmp_path / "whole"), *settings], check=True, **quiet)
    generator = torch.Generator().manual_seed(5)
    parts, kills = tmp_path / "parts", 0
    process = None
    while kills < 10:
        resume = ["--resume"] if (parts / "recipe.json").exists() else []
        process = subprocess.Popen([*command, str(parts), *settings, *resume], **quiet)
        metrics, seen = parts / "metrics.jsonl", time.monotonic()
        size = metrics.stat().st_size if metrics.exists() else 0
        while process.poll() is None and time.monotonic() - seen < 60:  # until it trains again
            if metrics.exists() and metrics.stat().st_size != size:
                break
            time.sleep(0.005)
        time.sleep(0.25 * float(torch.rand((), generator=generator)))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    subprocess.run([*command, str(parts), *settings, "--resume"], check=True, **quiet)
    assert kills == 10
    assert equal(final(tmp_path / "whole"), final(parts))


def test_divergence_is_a_status_and_keeps_the_last_good_checkpoint(tiny, tmp_path) -> None:
    from torch.optim import SGD

    from manypaths.parts import Part

    wild = tiny.with_({"bases": {n: Part(SGD, lr=1e30) for n in ("critic", "generator")}, "oracle.when": "always"})
    status = Run(wild, tmp_path / "r").train()
    assert status.state == "diverged"
    assert status.message.startswith(f"at step {status.step}, ")
    assert "of critic" in status.message or "of generator" in status.message
    weights = final(tmp_path / "r")["game"]["critic"]
    assert all(torch.isfinite(w.double()).all() for w in weights.values())


def test_a_checkpoint_of_another_recipe_is_refused(tiny, tmp_path) -> None:
    Run(tiny.with_({"steps": 1}), tmp_path / "r").train()
    other = tiny.with_({"oracle.batch": 32})
    with pytest.raises(InvalidType, match=r"is a run of another recipe: oracle.batch is 64 there and 32 here"):
        Run(other, tmp_path / "r", resume=True)
    with pytest.raises(InvalidValue, match="already holds a run: add --resume"):
        Run(tiny, tmp_path / "r")
    with pytest.raises(InvalidValue, match="holds no run to resume"):
        Run(tiny, tmp_path / "nothing", resume=True)
    (tmp_path / "r" / "checkpoint.pt").write_bytes(b"PK\x03\x04 garbage")
    with pytest.raises(InvalidValue, match="is not a readable checkpoint"):
        Run(tiny, tmp_path / "r", resume=True)


def test_a_critic_with_a_column_of_scores_is_refused_before_training(tiny, tmp_path) -> None:
    from manypaths.models.mlp import MlpCritic
    from manypaths.parts import Part

    class Column(MlpCritic):
        """Scores (N, 1)."""

        def forward(self, data):
            return super().forward(data)[:, None]

    with pytest.raises(InvalidValue, match=r"returned shape \(64, 1\) for a batch of 64: expected \(64,\)"):
        Run(tiny.with_({"game.critic": Part(Column, shape=(1, 8, 8))}), tmp_path / "r")
    assert not (tmp_path / "r").exists(), "nothing is left behind"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"game.generator.latent": 7}, "the generator does not take latents of shape (64, 4)"),
        ({"game.generator.size": 28}, "the generator makes data of shape (1, 28, 28) and the data set's is (1, 8, 8)"),
        ({"game.critic.size": 28}, "the critic does not take data of shape (1, 8, 8)"),
        ({"oracle.batch": 5000}, "batch is 5000: expected at most the 1797 summands"),
        ({"source.latents": "fresh"}, "SVRG needs a finite sum and latents='fresh' makes this source infinite"),
        ({"averages.uniform.of": "half"}, "use Extragradient(keep_half=True)"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_training(tiny, tmp_path, change, message) -> None:
    with pytest.raises((InvalidValue, InvalidType)) as caught:
        Run(tiny.with_(change), tmp_path / "r")
    assert message in str(caught.value)
    assert not (tmp_path / "r").exists()


def test_measuring_changes_nothing(tiny, tmp_path) -> None:
    Run(tiny, tmp_path / "a").train()
    Run(tiny.with_({"noise_every": 0, "samples_every": 0, "log_every": 5}), tmp_path / "b").train()
    assert equal(final(tmp_path / "a"), final(tmp_path / "b"))


def test_a_budget_of_evaluations_ends_the_run(tiny, tmp_path) -> None:
    run = Run(tiny.with_({"steps": 1000, "evaluations": 20_000}), tmp_path / "r")
    status = run.train()
    assert status.state == "finished"
    assert 20_000 <= run.evaluations < 30_000
