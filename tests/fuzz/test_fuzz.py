"""Whatever a file or an argument holds, the command answers: it does what was asked, or says one line.

Never a traceback, never a hang, nothing executed, nothing half-written, and nothing damaged taken for good. The default
suite tries 300 inputs, ``pytest -m slow tests/fuzz`` 5,100, through the command's own entry; ``-s`` prints the counts.
"""

from __future__ import annotations

import io
import json
import shutil
import struct
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import mutations
import numpy as np
import pytest
import torch

from manypaths import Run
from manypaths.recipes import RECIPES
from manypaths.run.recipe import _flatten

SECONDS = 60.0
EXITS = {0, 2, 3}
"""Done, refused in one line, diverged."""
SHORT = {"steps": 2, "samples_every": 0, "noise_every": 0, "log_every": 1, "checkpoint_every": 1, "threads": 1}
SMALL = {"game.generator.hidden": (4,), "game.critic.hidden": (4,), "oracle.batch": 4, "data.limit": 40}


class Trial:
    """A folder with a marker module, and a way to give the command words there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
        self.folder, self._patch, self._capsys = folder, monkeypatch, capsys
        self.counts: Counter[str] = Counter()
        (folder / "marker.py").write_text("from pathlib import Path\nPath('PWNED').touch()\nclass Anything: pass\n")
        monkeypatch.chdir(folder)
        monkeypatch.setenv("MANYPATHS_DATA", str(folder / "data"))

    def command(self, *words: str, fresh: str | None = None) -> int:
        """The exit status, after everything that must hold whatever the input was."""
        from manypaths.cli import main

        before = {p for p in self.folder.rglob("*") if p.is_file()}
        self._patch.setattr("sys.argv", ["manypaths", *words])
        started, status = time.monotonic(), 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                main()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else int(bool(left.code))
        said = self._capsys.readouterr().err.strip()
        assert time.monotonic() - started < SECONDS, f"hangs: {words}"
        assert status in EXITS, f"{status}: {words}: {said}"
        assert not (self.folder / "PWNED").exists(), f"executed: {words}"
        if status == 2:
            line = said.splitlines()[-1]
            assert line.startswith(("error: ", "│ ", "╰")), f"{words}: {said}"
            assert "Traceback" not in said
            after = {p for p in self.folder.rglob("*") if p.is_file()}
            assert fresh is None or after == before, f"half-written: {sorted(map(str, after - before))}: {words}"
        self.counts["accepted" if status == 0 else "refused" if status == 2 else "diverged"] += 1
        return status


@pytest.fixture
def trial(tmp_path, monkeypatch, capsys) -> Trial:
    return Trial(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return RECIPES["digits-adam"]().with_({**SHORT, **SMALL}).to_plain()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, plain) -> Path:
    """A finished run."""
    from manypaths import Recipe

    path = tmp_path_factory.mktemp("whole") / "run"
    Run(Recipe.from_plain(plain), path).train()
    return path


def state_of(path: Path) -> str:
    return str(torch.load(path, weights_only=True)["training"]["game"])


# ---- what is tried, each by its number ------------------------------------------------------------------------------


def recipes(trial: Trial, plain: dict[str, Any], whole: Path, seed: int) -> None:
    Path("recipe.json").write_text(json.dumps(mutations.changed(plain, seed)))
    if trial.command("run", "recipe.json", "--show") == 0 and seed % 5 == 0:
        trial.command("run", "recipe.json", "--out", f"r{seed}")
        shutil.rmtree(f"r{seed}", ignore_errors=True)


def recipe_bytes(trial: Trial, plain: dict[str, Any], whole: Path, seed: int) -> None:
    Path("recipe.json").write_bytes(mutations.damaged(json.dumps(plain).encode(), seed))
    trial.command("run", "recipe.json", "--show")


def settings(trial: Trial, plain: dict[str, Any], whole: Path, seed: int) -> None:
    Path("recipe.json").write_text(json.dumps(plain))
    words = [word for i in range(1 + seed % 3) for word in ("--set", mutations.setting([*_flatten(plain)], seed + i))]
    trial.command("run", "recipe.json", *words, "--show")


def checkpoints(trial: Trial, plain: dict[str, Any], whole: Path, seed: int) -> None:
    """Only the damaged one is there; a resume that is taken must hold the very state."""
    shutil.copytree(whole, "run")
    Path("run/checkpoint-previous.pt").unlink()
    good = state_of(Path("run/checkpoint.pt"))
    Path("run/checkpoint.pt").write_bytes(mutations.damaged((whole / "checkpoint.pt").read_bytes(), seed))
    if trial.command("run", "run", "--resume") == 0:
        assert state_of(Path("run/checkpoint.pt")) == good, "a damaged checkpoint was taken for good"
    shutil.rmtree("run")


def metrics(trial: Trial, plain: dict[str, Any], whole: Path, seed: int) -> None:
    """A run that goes on keeps every row, but for a last line that is cut."""
    shutil.copytree(whole, "run")
    rows = (whole / "metrics.jsonl").read_bytes() * 3
    Path("run/metrics.jsonl").write_bytes(mutations.damaged(rows, seed))
    before = Path("run/metrics.jsonl").read_bytes()
    if trial.command("run", "run", "--resume") == 2:
        assert Path("run/metrics.jsonl").read_bytes() == before, "rows were deleted"
    trial.command("report", "run", "--out", "page.html")
    shutil.rmtree("run")


def run_directories(trial: Trial, plain: dict[str, Any], whole: Path, seed: int) -> None:
    """One of the small files of a run is damaged."""
    shutil.copytree(whole, "run")
    name = ("recipe.json", "status.json", "command.txt", "generator-last.safetensors")[seed % 4]
    Path("run", name).write_bytes(mutations.damaged((whole / name).read_bytes(), seed))
    trial.command("report", "run", "--out", "page.html")
    trial.command("run", "run", "--resume")
    shutil.rmtree("run")


def arrays(trial: Trial, plain: dict[str, Any], whole: Path, seed: int) -> None:
    """npy, npz, pt, safetensors and parquet files as data."""
    from safetensors.torch import save

    images = torch.arange(40 * 64, dtype=torch.uint8).reshape(40, 1, 8, 8)
    kind = ("npy", "npz", "pt", "safetensors", "parquet")[seed % 5]
    buffer = io.BytesIO()
    if kind == "npy":
        np.save(buffer, images.numpy())
    elif kind == "npz":
        np.savez(buffer, images=images.numpy())
    elif kind == "pt":
        torch.save(images, buffer)
    elif kind == "safetensors":
        buffer.write(save({"images": images}))
    else:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        parquet.write_table(pa.table({"img": [b"x"] * 4, "label": [0] * 4}), buffer)
    file = Path(f"images.{kind}")
    file.write_bytes(mutations.damaged(buffer.getvalue(), seed))
    document = {**plain, "data": {"name": "array", "path": str(file)}, "metrics": []}
    Path("recipe.json").write_text(json.dumps(document))
    if trial.command("run", "recipe.json", "--out", "r", fresh="r") != 2:
        shutil.rmtree("r", ignore_errors=True)


def idx_files(trial: Trial, plain: dict[str, Any], whole: Path, seed: int) -> None:
    """MNIST's own format, by other names, so that no checksum is known."""
    folder = trial.folder / "data" / "fashion-mnist"
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 40), ("t10k", 8)):
        pixels = struct.pack(">IIII", 2051, count, 28, 28) + bytes(count * 784)
        labels = struct.pack(">II", 2049, count) + bytes(i % 10 for i in range(count))
        for contents, name in ((pixels, "images-idx3"), (labels, "labels-idx1")):
            (folder / f"{part}-{name}-ubyte").write_bytes(mutations.damaged(contents, seed + len(name)))
    document = {**plain, "data": {"name": "fashion-mnist"}, "metrics": []}
    Path("recipe.json").write_text(json.dumps(document))
    trial.command("run", "recipe.json", "--out", "r", fresh="r")
    shutil.rmtree("r", ignore_errors=True)


def pictures(trial: Trial, plain: dict[str, Any], whole: Path, seed: int) -> None:
    from PIL import Image

    shutil.rmtree("pictures", ignore_errors=True)
    Path("pictures").mkdir()
    for i, kind in enumerate(("png", "jpg", "bmp", "gif", "png", "png", "jpg", "webp")):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), (30 * i, 9, 200)).save(buffer, {"jpg": "jpeg"}.get(kind, kind))
        contents = buffer.getvalue()
        Path("pictures", f"{i}.{kind}").write_bytes(mutations.damaged(contents, seed + i) if i % 2 else contents)
    data = {"name": "image-folder", "path": "pictures", "size": 8}
    Path("recipe.json").write_text(json.dumps({**plain, "data": data, "metrics": []}))
    trial.command("run", "recipe.json", "--out", "r", fresh="r")
    shutil.rmtree("r", ignore_errors=True)


def studies(trial: Trial, plain: dict[str, Any], whole: Path, seed: int) -> None:
    """A study's directory, one of whose files is damaged; its table is that of the undamaged one, or there is none."""
    home = trial.folder / "study"
    if not home.exists():
        trial.command("study", "tiny_study:study", "--out", "study")
    files = sorted(p for p in home.rglob("*") if p.is_file() and p.suffix in (".json", ".parquet"))
    shutil.copytree(home, "copy")
    chosen = Path("copy", files[seed % len(files)].relative_to(home))
    chosen.write_bytes(mutations.damaged(chosen.read_bytes(), seed))
    trial.command("study", "tiny_study:study", "--out", "copy", *(["--status"] if seed % 4 else []))
    shutil.rmtree("copy")


KINDS = {
    recipes: (70, 1200),
    recipe_bytes: (40, 500),
    settings: (60, 1200),
    checkpoints: (25, 500),
    metrics: (20, 400),
    run_directories: (25, 300),
    arrays: (20, 400),
    idx_files: (15, 200),
    pictures: (15, 200),
    studies: (10, 200),
}
"""How many inputs of each kind the default suite and the slow one try: 300 and 5,100."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_some(kind, trial, plain, whole) -> None:
    for seed in range(KINDS[kind][0]):
        kind(trial, plain, whole, seed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_many(kind, trial, plain, whole, capsys) -> None:
    for seed in range(1000, 1000 + KINDS[kind][1]):
        kind(trial, plain, whole, seed)
    with capsys.disabled():
        print(f"\n{kind.__name__}: {KINDS[kind][1]} inputs, {dict(trial.counts)}, none executed, hung or half-written")
