"""Evaluating a run, and taking its generator away."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import manypaths
from manypaths.data.base import Data, DataSet
from manypaths.data.net_spec import NetRecipe, NetSpec
from manypaths.data.synthetic import Ring
from manypaths.errors import InputError, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.metrics import feature_nets
from manypaths.metrics.base import SampleSets
from manypaths.metrics.feature_nets import Entry, FeatureNet
from manypaths.metrics.transport import WassersteinDistance
from manypaths.models.classifiers import DigitsCnn
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.run import scoring
from manypaths.run.evaluation import evaluated, generate, inputs
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe
from manypaths.run.scoring import Scorer, evaluate
from manypaths.sources.pixels import to_float
from manypaths.specs import Spec


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A data directory, in which the feature net is trained once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def quick_net(kept, monkeypatch) -> None:
    monkeypatch.setenv("MANYPATHS_DATA", str(kept))
    entry = Entry("digits", NetSpec("DigitsCnn", NetRecipe(epochs=3, at_least=0.5)))
    monkeypatch.setitem(feature_nets.NETS, "digits-cnn", entry)


def test_evaluate_writes_rows_and_images(whole, tmp_path, quick_net) -> None:
    shutil.copytree(whole, tmp_path / "r")
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


def test_the_recipe_and_the_command_line_choose_metrics(tiny, tmp_path, quick_net, monkeypatch, capsys) -> None:
    from manypaths.cli import main

    recipe = tiny.with_({"metrics": "label-histogram,ms-ssim", "steps": 3})
    assert Recipe.from_plain(recipe.to_plain()) == recipe
    assert not recipe.differences(tiny), "what is measured changes no trajectory"
    with pytest.raises(InvalidValue, match="unknown metric 'ms-sim': did you mean 'ms-ssim'"):
        tiny.with_({"metrics": "kid,ms-sim"})
    Run(recipe, tmp_path / "r").train()
    run = Run.opened(tmp_path / "r")
    rows = evaluate(run.directory, run.training, Scorer(run.recipe, samples=70), "last")
    assert [row["metric"] for row in rows] == ["label entropy", "label total variation", "ms-ssim"]
    assert rows[2]["net"] == ""
    arguments = ["evaluate", str(tmp_path / "r"), "--metric", "kid", "--metric", "precision-recall", "--samples", "50"]
    monkeypatch.setattr("sys.argv", ["manypaths", *arguments, "--average", "ema"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    assert "50 samples; net: digits-cnn, test accuracy" in capsys.readouterr().out
    rows = json.loads((tmp_path / "r" / "evaluation.json").read_text())
    assert [row["metric"] for row in rows][:2] == ["kid (digits-cnn)", "precision (digits-cnn)"]
    assert all("50" in row["protocol"] or row["samples"] == 50 for row in rows)


def test_the_references_features_are_computed_once(tiny, quick_net, monkeypatch) -> None:
    recipe, seen = tiny.with_({"metrics": "frechet,kid,precision-recall"}), []
    monkeypatch.setattr(scoring, "_KNOWN", {})
    generated = [torch.randint(256, (n, 1, 8, 8), dtype=torch.uint8) for n in (60, 70)]
    scorer = Scorer(recipe)
    net = scorer.net.net
    monkeypatch.setattr(net, "features", lambda images: seen.append(len(images)) or net.body(to_float(images)))
    found = [scorer.scores(images) for images in generated]
    assert sum(seen) == 60 + 70 + len(scorer.reference)
    assert found == [Scorer(recipe).scores(images) for images in generated], "also by another run's"
    monkeypatch.setattr(scoring, "_KNOWN", {})
    assert found == [Scorer(recipe).scores(images) for images in generated], "bit for bit"


def test_another_net_or_another_reference_is_not_taken_for_one_that_is_known(tiny, quick_net, monkeypatch) -> None:
    monkeypatch.setattr(scoring, "_KNOWN", {})
    scorer = Scorer(tiny.with_({"metrics": "frechet"}))
    same, other = scorer.net, FeatureNet("digits-cnn", DigitsCnn(), scorer.net.accuracy, scorer.net.data)
    found = [scoring._known_of("a", same), scoring._known_of("a", other), scoring._known_of("b", same)]
    assert len({id(known) for known in (scorer._known, *found)}) == 4
    assert scoring._known_of("a", same) is found[0]
    for name in "cdef":
        scoring._known_of(name, None)
    assert list(scoring._KNOWN) == [(name, "") for name in "cdef"], "the four that were used last are kept"


@dataclass(frozen=True)
class HeldOut(DataSet):
    """Three rings: one to train on, one to compare with, one to fit a critic to."""

    seed: int = 0

    def reference(self) -> HeldOut:
        return HeldOut(seed=1)

    def validation(self) -> HeldOut:
        return HeldOut(seed=2)

    def load(self) -> Data:
        return Ring(size=300, seed=self.seed).load()


@pytest.fixture
def plane(tiny) -> Recipe:
    """A GAN in the plane."""
    networks = {
        "generator": Spec(MlpGenerator, latent=4, shape=(2,), hidden=(8,)),
        "critic": Spec(MlpCritic, shape=(2,), hidden=(8,)),
        "objective": Spec(NonSaturating),
    }
    return dataclasses.replace(tiny, name="plane", data=Spec(HeldOut), game=Spec(Adversarial, **networks), steps=3)


def test_points_are_scored_by_metrics_that_take_points(plane, tmp_path) -> None:
    chosen = "wasserstein,sliced-wasserstein,precision-recall,wasserstein-critic"
    recipe = plane.with_({"metrics": chosen, "metrics.3.steps": 5, "evaluate_every": 3, "evaluate_samples": 40})
    Run(recipe, tmp_path / "r").train()
    run = Run.opened(tmp_path / "r", trust_code=True)
    rows = evaluate(run.directory, run.training, Scorer(recipe, samples=40), "last")
    assert [row["metric"] for row in rows][:3] == ["wasserstein", "sliced wasserstein", "precision"]
    assert rows[-1]["metric"] == "wasserstein critic, last change"
    points = torch.from_numpy(np.load(tmp_path / "r" / "samples-last.npz")["points"])
    assert points.shape == (40, 2)
    assert WassersteinDistance()(SampleSets(points, HeldOut(seed=1).load().real))[0].value == rows[0]["value"]
    assert not list((tmp_path / "r").glob("*.png"))
    assert np.isfinite([row["value"] for row in rows]).all()


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({}, {}, "inception-score does not take points: expected one of precision-recall, wasserstein-critic, wasse"),
        ({"metrics": "precision-recall"}, {"samples": 5}, "samples is 5: precision-recall expected at least 6"),
        ({"metrics": "precision-recall"}, {"net": "mnist-cnn"}, "net is 'mnist-cnn': expected none, for no metric"),
        ({"metrics": "none"}, {}, "there are no metrics: expected at least one"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_generated(plane, settings, options, message) -> None:
    with pytest.raises(InputError, match=message):
        Scorer(plane.with_(settings), **options)


def test_metrics_that_fit_something_need_held_out_data(plane, monkeypatch) -> None:
    def nothing(self: DataSet) -> DataSet:
        raise InvalidValue("HeldOut holds nothing out: expected a data set with validation data")

    monkeypatch.setattr(HeldOut, "validation", nothing)
    Scorer(plane.with_({"metrics": "precision-recall"}))
    with pytest.raises(InvalidValue, match="holds nothing out"):
        Scorer(plane.with_({"metrics": "wasserstein-critic"}))


def test_scores_along_a_run_do_not_change_it(tiny, whole, tmp_path, quick_net) -> None:
    plain = Run.opened(whole)
    scored = Run(tiny.with_({"evaluate_every": 5, "evaluate_samples": 50}), tmp_path / "b")
    scored.train()
    rows = [json.loads(line) for line in (tmp_path / "b" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "score" in row] == [5, 10, 12]
    assert "frechet (digits-cnn)" in rows[-1]["score"]["last"]
    for a, b in zip(*(r.training.game.parameters("generator") for r in (plain, scored)), strict=True):
        assert torch.equal(a, b)


def test_load_returns_the_generator_of_each_average(whole, tmp_path) -> None:
    run = Run.opened(whole)
    z = torch.randn(5, 4)
    for which in ("last", "ema"):
        generator = manypaths.load(whole, which)
        assert not generator.training
        with evaluated(run.training, which) as expected, torch.no_grad():
            assert torch.equal(generator(z), expected(z))
    with pytest.raises(InvalidValue, match="unknown average 'emma': did you mean 'ema'"):
        manypaths.load(whole, "emma")
    with pytest.raises(InvalidValue, match="holds no run"):
        manypaths.load(tmp_path)


def test_batchnorm_statistics_of_an_average_are_recomputed(whole) -> None:
    run = Run.opened(whole)
    kept = [b.clone() for b in run.training.game.buffers()]
    statistics = {}
    for which in ("last", "ema"):
        with evaluated(run.training, which) as generator:
            assert not generator.training
            statistics[which] = generator.layers[1].running_mean.clone()
            inputs = generator.layers[0](
                torch.randn(20_000, 4, generator=torch.Generator().manual_seed(1))[..., None, None]
            )
    assert all(torch.equal(a, b) for a, b in zip(kept, run.training.game.buffers(), strict=True)), "buffers come back"
    fresh = inputs.mean((0, 2, 3))
    assert (statistics["ema"] - fresh).abs().max() < 0.02


def test_a_conditional_generator_is_fed_labels(tiny, tmp_path, quick_net) -> None:
    conditional = {"game.generator.classes": 10, "game.critic.classes": 10, "game.conditional": True}
    run = Run(tiny.with_({**conditional, "steps": 4, "samples_every": 2}), tmp_path / "r")
    assert run.train().state == "finished"
    latents, labels = inputs(run.training, 2000, 0, "scores")
    assert torch.equal(latents, inputs(run.training, 2000, 0, "scores")[0])
    frequencies = torch.bincount(labels, minlength=10) / 2000
    assert (frequencies - 0.1).abs().max() < 0.03, "the digits are nearly balanced"
    latents, labels = inputs(run.training, 100, 0, "grid")
    assert labels.tolist() == list(range(10)) * 10, "a column of the grid is a class"
    with evaluated(run.training, "ema") as generator:
        images = generate(generator, [latents, labels], chunk=7)
        assert torch.allclose(images, generator(latents, labels), atol=1e-6)
    loaded = manypaths.load(tmp_path / "r", "ema")
    assert torch.allclose(loaded(latents, labels), images, atol=1e-6)
    rows = evaluate(run.directory, run.training, Scorer(run.recipe, samples=40), "ema")
    assert all(np.isfinite(row["value"]) for row in rows)


def test_an_interrupted_evaluation_or_report_loses_nothing(tiny, whole, tmp_path, quick_net, monkeypatch) -> None:
    from manypaths.report import page

    shutil.copytree(whole, tmp_path / "r")
    run = Run.opened(tmp_path / "r")
    scorer = Scorer(run.recipe, samples=50)
    evaluate(run.directory, run.training, scorer)
    page.write_report([tmp_path / "r"], tmp_path / "page.html")
    files = lambda: {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file() and "samples-" not in p.name}  # noqa: E731
    before = files()

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Scorer, "scores", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(run.directory, run.training, scorer)
    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        page.write_report([tmp_path / "r"], tmp_path / "page.html")
    monkeypatch.undo()
    assert files() == before
    assert Run(tiny.with_({"steps": 13}), tmp_path / "r", resume=True).train().state == "finished"


def test_a_recipe_names_another_net_and_the_reference_is_read_once(tiny, monkeypatch) -> None:
    made = {}

    def planted(name: str) -> FeatureNet:
        net = DigitsCnn().eval().requires_grad_(False)
        made[name], features = [], net.features

        def counted(images):
            made[name].append(len(images))
            return features(images)

        net.features = counted
        return FeatureNet(name, net, 0.5, "abc")

    monkeypatch.setattr("manypaths.run.scoring.feature_net", planted)
    named = tiny.with_({"net": "other", "metrics": "frechet"})
    assert "net" not in tiny.to_plain(), "addresses of recipes that name none stay"
    assert Recipe.from_plain(named.to_plain()) == named
    assert named.net == "other"
    assert not named.differences(tiny)
    scorer, images = Scorer(named, samples=40), torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8)
    first, again = scorer.scores(images), scorer.scores(images)
    assert [score.metric for score in first] == ["frechet (other)"]
    assert first == again
    assert sum(made["other"]) == 2 + len(scorer.reference) + 2 * 40  # two images show that the net fits
    assert Scorer(named, net="yet another", samples=40).net.name == "yet another"
    with pytest.raises(InvalidValue, match="net is 'other': expected none, for no metric"):
        Scorer(named.with_({"metrics": "ms-ssim"}), samples=70)
