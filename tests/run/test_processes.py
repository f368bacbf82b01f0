"""Runs on two processes: the steps of one, one writer, and what is left when a process dies."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

from manypaths.errors import LostProcess
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.run import checkpoint
from manypaths.run.loop import Run
from manypaths.run.processes import lost_another
from manypaths.specs import Spec

IMAGE = (1, 8, 8)


@pytest.fixture
def independent(tiny):
    """Networks that do not couple the samples of a batch, so that a share of it is a share of its gradient."""
    changed = {
        "game.generator": Spec(MlpGenerator, latent=4, shape=IMAGE, hidden=(8,), bounded=True),
        "game.critic": Spec(MlpCritic, shape=IMAGE, hidden=(8,)),
        "oracle.batch": 31,
        "oracle.when": "always",
        "oracle.check_every": 50,
        "samples_every": 4,
        "steps": 8,
    }
    return tiny.with_(changed)


def start(recipe: str, rank: int, port: int, *arguments: str) -> subprocess.Popen[str]:
    """What torchrun does for each process."""
    place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "manypaths.cli", "run", recipe, *arguments]
    environment = {**os.environ, **place, **address}
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def weights(path) -> list[torch.Tensor]:
    states = checkpoint.load(path / "checkpoint.pt")["training"]["game"]
    return [tensor for state in states.values() for tensor in state.values()]


def test_two_processes_and_a_dead_one(independent, tmp_path) -> None:
    file, home = tmp_path / "recipe.json", tmp_path / "two"
    file.write_text(json.dumps(dataclasses.replace(independent, steps=100_000).to_plain()))
    port = free_port()
    both = [start(str(file), rank, port, "--out", str(home)) for rank in range(2)]
    while not (home / "checkpoint.pt").exists() or checkpoint.load(home / "checkpoint.pt")["training"]["steps"] < 6:
        assert both[0].poll() is None, both[0].communicate()[1]
        time.sleep(0.05)
    both[1].send_signal(signal.SIGKILL)
    _, errors = both[0].communicate(timeout=120)
    both[1].communicate()
    assert both[0].returncode == 2
    line = errors.splitlines()[-1]
    assert "Traceback" not in errors, errors
    resume = f"torchrun --nproc-per-node 2 --no-python manypaths run {home} --resume"
    assert line.endswith(f"another process of this run has ended; go on with: {resume}")
    assert json.loads((home / "status.json").read_text())["state"] == "failed"
    steps = checkpoint.load(home / "checkpoint.pt")["training"]["steps"]
    longer = dataclasses.replace(independent, steps=steps + 3)
    assert Run(longer, home, resume=True).train().state == "finished", "one process goes on where two stopped"
    Run(longer, tmp_path / "one").train()
    for mine, theirs in zip(weights(tmp_path / "one"), weights(home), strict=True):
        assert torch.allclose(mine, theirs, rtol=0.0, atol=1e-4)
    assert sorted(p.name for p in home.iterdir()) == sorted(p.name for p in (tmp_path / "one").iterdir())


def test_an_error_of_the_backend_is_only_a_lost_process_where_there_are_several() -> None:
    assert not lost_another(RuntimeError("gloo: connection closed by peer"))
    assert issubclass(LostProcess, RuntimeError)
