"""Evaluating a run, and taking its generator away."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import manypaths
from manypaths.errors import InvalidValue
from manypaths.metrics import feature_nets
from manypaths.metrics.feature_nets import NetRecipe, _Entry
from manypaths.run.evaluation import evaluated
from manypaths.run.loop import Run
from manypaths.run.scoring import Scorer, evaluate


@pytest.fixture
def quick_net(tmp_path, monkeypatch) -> None:
    from manypaths.data.digits import Digits
    from manypaths.models.classifiers import DigitsCnn

    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path / "data"))
    entry = _Entry(DigitsCnn, lambda split: Digits(split=split), NetRecipe(epochs=3, at_least=0.5))
    monkeypatch.setitem(feature_nets.NETS, "digits-cnn", entry)


def test_evaluate_writes_rows_and_images(tiny, tmp_path, quick_net) -> None:
    Run(tiny, tmp_path / "r").train()
    before = (tmp_path / "r" / "checkpoint.pt").read_bytes()
    run = Run.opened(tmp_path / "r")
    rows = evaluate(run.directory, run.training, Scorer(run.recipe, samples=100))
    assert rows == json.loads((tmp_path / "r" / "evaluation.json").read_text())
    assert {row["generator"] for row in rows} >= {"last", "ema"}
    assert all(row["samples"] == 100 and row["step"] == 12 and "digits-cnn" in row["net"] for row in rows)
    images = np.load(tmp_path / "r" / "samples-last.npz")["images"]
    assert images.shape == (100, 1, 8, 8)
    assert images.dtype == np.uint8
    assert (tmp_path / "r" / "checkpoint.pt").read_bytes() == before, "evaluating changes no run"


def test_scores_along_a_run_do_not_change_it(tiny, tmp_path, quick_net) -> None:
    plain = Run(tiny, tmp_path / "a")
    plain.train()
    scored = Run(tiny.with_({"evaluate_every": 5, "evaluate_samples": 50}), tmp_path / "b")
    scored.train()
    rows = [json.loads(line) for line in (tmp_path / "b" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "score" in row] == [5, 10, 12]
    assert "frechet (digits-cnn)" in rows[-1]["score"]["last"]
    for a, b in zip(*(r.training.game.parameters("generator") for r in (plain, scored)), strict=True):
        assert torch.equal(a, b)


def test_load_returns_the_generator_of_each_average(tiny, tmp_path) -> None:
    run = Run(tiny, tmp_path / "r")
    run.train()
    z = torch.randn(5, 4)
    for which in ("last", "ema"):
        generator = manypaths.load(tmp_path / "r", which)
        assert not generator.training
        with evaluated(run.training, which, latent=4) as expected, torch.no_grad():
            assert torch.equal(generator(z), expected(z))
    with pytest.raises(InvalidValue, match="unknown average 'emma': did you mean 'ema'"):
        manypaths.load(tmp_path / "r", "emma")
    with pytest.raises(InvalidValue, match="holds no run"):
        manypaths.load(tmp_path)


def test_batchnorm_statistics_of_an_average_are_recomputed(tiny, tmp_path) -> None:
    run = Run(tiny, tmp_path / "r")
    run.train()
    kept = [b.clone() for b in run.training.game.buffers()]
    statistics = {}
    for which in ("last", "ema"):
        with evaluated(run.training, which, latent=4) as generator:
            statistics[which] = generator.layers[1].running_mean.clone()
            inputs = generator.layers[0](
                torch.randn(20_000, 4, generator=torch.Generator().manual_seed(1))[..., None, None]
            )
    assert all(torch.equal(a, b) for a, b in zip(kept, run.training.game.buffers(), strict=True)), "buffers come back"
    fresh = inputs.mean((0, 2, 3))
    assert (statistics["ema"] - fresh).abs().max() < 0.02


def test_an_interrupted_evaluation_or_report_loses_nothing(tiny, tmp_path, quick_net, monkeypatch) -> None:
    from manypaths.report import page
    from manypaths.run import scoring

    Run(tiny, tmp_path / "r").train()
    run = Run.opened(tmp_path / "r")
    scorer = Scorer(run.recipe, samples=50)
    evaluate(run.directory, run.training, scorer)
    page.write_report([tmp_path / "r"], tmp_path / "page.html")
    files = lambda: {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file() and "samples-" not in p.name}  # noqa: E731
    before = files()

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "image_scores", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(run.directory, run.training, scorer)
    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        page.write_report([tmp_path / "r"], tmp_path / "page.html")
    monkeypatch.undo()
    assert files() == before
    assert Run(tiny.with_({"steps": 13}), tmp_path / "r", resume=True).train().state == "finished"
