"""P1.4, P1.5, P1.7 on pictures: what the games share, quality by hand, a resumed cell, every verdict both ways."""

from __future__ import annotations

import io
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from manypaths.data.base import Data
from manypaths.data.color_mnist import ColorMnist
from manypaths.experiments import stand_ins
from manypaths.experiments.claims import Claim, above
from manypaths.experiments.engine import run_study
from manypaths.experiments.executor import InProcess
from manypaths.experiments.rank_agreement import RankAgreement, kendall
from manypaths.experiments.statistics import NotTested
from manypaths.experiments.store import Store
from manypaths.experiments.tables import Table
from manypaths.metrics.feature_nets import FeatureNet
from manypaths.models.classifiers import MnistCnn
from manypaths.randomness import generator_for
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe
from manypaths.studies.find import find_study
from manypaths.studies.low_dimensional_manifold import study as synthetic
from manypaths.studies.low_dimensional_manifold.results import TITLES
from manypaths.studies.pictures import results, runs, study

NAMES = ("color-mnist", "cifar10", "celeba")
LOSS = {"color-mnist": -1.0, "cifar10": -1.0, "celeba": 1.0}
"""Which way the deciding score points."""


# ---- what is run -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", ["smoke", "laptop"])
def test_games_share_everything_but_the_game(name, scale) -> None:
    plan = find_study(name).at(scale)
    plays = [cell for cell in plan.cells if cell.name == "play"]
    settings = {cell.columns["setting"] for cell in plays}
    assert len(plays) == 4 * len(settings) == len(plan.cells) - 1
    assert len(settings) == {"smoke": 2, "laptop": 24}[scale]
    for setting in sorted(settings)[:2]:
        recipes = [Recipe.from_plain(c.settings["recipe"]) for c in plays if c.columns["setting"] == setting]
        for other in recipes[1:]:
            differences = recipes[0].differences(other)
            assert differences
            assert all(text.startswith(("game.objective.", "game.penalties")) for text in differences)
    assert not any(part.build().reads_net("images") for part in recipes[0].metrics if scale == "smoke")
    (anchor,) = (cell for cell in plan.cells if cell.name == "anchors")
    assert {at for at, _ in anchor.settings["settings"]} == settings


def test_a_recipe_is_what_its_setting_says() -> None:
    size = study.Pictures(name="color-mnist", title="Color MNIST", side=28).size("laptop")
    setting = runs.settings(24)[1]
    recipe = runs.recipe("color-mnist", "wgan-gp", setting, size)
    assert recipe.rule.settings["order"] == ("critic",) * 5 + ("generator",)
    for part in recipe.optimizers.values():
        assert part.settings == {"lr": setting.lr, "betas": (setting.beta1, 0.999)}
    assert [recipe.game.settings[player].settings["width"] for player in runs.PLAYERS] == [16, 16]
    assert (recipe.steps, recipe.seed, recipe.oracle.settings["batch"]) == (2000, 1, 32)
    assert recipe.data.settings["held_out"] == 5000
    assert recipe.averages == {}


def test_settings_are_balanced_and_of_one_sequence() -> None:
    found = runs.settings(24)
    assert runs.settings(7) == found[:7]
    turns = {(s.beta1, s.critic_steps) for s in found}
    assert turns == set(itertools.product(runs.BETA1, runs.CRITIC_STEPS))
    assert all(sum((s.beta1, s.critic_steps) == turn for s in found) == 4 for turn in turns)
    logs = np.log([s.lr for s in found])
    assert all(runs.LOWEST <= s.lr <= runs.HIGHEST for s in found)
    # a uniform's mean and deviation, within three standard errors
    width = math.log(10)
    assert logs.mean() == pytest.approx(math.log(1e-4) + width / 2, abs=3 * width / math.sqrt(12 * 24))
    assert logs.std() == pytest.approx(width / math.sqrt(12), abs=0.2)


def test_laptop_is_an_afternoon() -> None:
    """Declared costs, from measured steps: about two hours on two cores."""
    seconds = sum(cell.seconds for cell in find_study("color-mnist").at("laptop").cells)
    assert 1.8 * 3600 < seconds / 2 < 2.5 * 3600


# ---- the cells ---------------------------------------------------------------------------------------------------


@pytest.fixture
def digits(monkeypatch) -> None:
    """Color MNIST as 300 and 64 images of noise, a net that nobody trained, and no sample grids."""

    def part(self: ColorMnist, name: str) -> Data:
        n = {"train": 300, "test": 64}[name]
        images = torch.randint(0, 256, (n, 3, 28, 28), dtype=torch.uint8, generator=generator_for(n, "test"))
        return Data(images, torch.arange(n) % 10)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = FeatureNet("untrained", MnistCnn(channels=3).eval().requires_grad_(False), 0.1, "abc")
    monkeypatch.setattr(ColorMnist, "part", part)
    monkeypatch.setattr("manypaths.run.scoring.feature_net", lambda name: net)
    monkeypatch.setattr(Run, "draw_samples", lambda self: None)


def small(**more) -> runs.Size:
    metrics = (*study.LABELLED["laptop"][:3], *study.LABELLED["smoke"])
    size = runs.Size(settings=1, width=4, steps=6, batch=8, metrics=metrics, samples=40, held_out=50)
    return replace(size, **more)


def of(game: str, size: runs.Size, **more) -> dict:
    setting = replace(runs.settings(2)[1], critic_steps=2, **more)
    return {"recipe": runs.recipe("color-mnist", game, setting, size).to_plain(), "stand_in": False}


SCORES = {
    "inception score",
    "frechet",
    "label entropy",
    "label total variation",
    "wasserstein critic",
    "wasserstein critic, as fitted",
    "wasserstein critic, last change",
    "ms-ssim",
}


def test_a_run_that_was_cut_short_scores_as_the_whole_one(digits, tmp_path) -> None:
    settings = of("gan-gp", small())
    whole = runs.play(settings, tmp_path / "whole")
    assert set(whole) == {"data", "state"} | SCORES
    assert (whole["data"], whole["state"]) == ("color-mnist", "finished")
    assert 1.0 <= whole["inception score"] <= 10.0
    begun = Run(Recipe.from_plain(settings["recipe"]), tmp_path / "cut" / "run")
    begun.save()
    for _ in range(4):
        begun.step()
    begun.save()
    begun.step()  # lost
    assert runs.play(settings, tmp_path / "cut") == whole
    assert runs.play(settings, tmp_path / "cut") == whole  # killed after its last step and before its result


def test_a_run_that_diverges_has_no_scores(digits, tmp_path) -> None:
    found = runs.play(of("wgan-gp", small(), lr=1e30), tmp_path)
    assert found == {"data": "color-mnist", "state": "diverged"}


def test_anchors_are_scored_like_generated_images(digits, tmp_path) -> None:
    settings = {**of("ns-gan", small()), "settings": [["one", 1], ["two", 5]]}
    table = Table(runs.anchors(settings, tmp_path))
    assert table["setting"].tolist() == ["one", "two"] * 2
    assert table["critic_steps"].tolist() == [1, 5] * 2
    mean, real = table.where(game=results.MEAN, setting="two"), table.where(game=results.REAL, setting="two")
    assert mean["inception score"][0] == pytest.approx(1.0, abs=1e-6)
    assert mean["label entropy"][0] == 0.0
    assert mean["ms-ssim"][0] == pytest.approx(1.0, abs=1e-6)
    assert real["ms-ssim"][0] < 0.9
    assert real["frechet"][0] < mean["frechet"][0]
    assert set(table.names) == {"setting", "critic_steps", "game"} | SCORES


def test_celeba_runs_every_cell_on_drawn_pictures_where_it_is_absent(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv(results.SYNTHETIC_VARIABLE, str(tmp_path / "nowhere"))
    monkeypatch.setattr(stand_ins, "DRAWN", 24)
    monkeypatch.setattr(Run, "draw_samples", lambda self: None)
    plan, out = find_study("celeba").at("smoke"), tmp_path / "study"
    found = run_study(plan, out, executor=InProcess(), console=Console(file=io.StringIO()))
    assert (found.state, found.finished) == ("finished", 9)
    table = Table.read(out / "table.parquet")
    assert set(table.where(function="play")["data"]) == {"image-folder"}
    assert {"sliced wasserstein", "ms-ssim", "wasserstein critic"} <= set(table.names)
    assert {path.name for path in (out / "figures").iterdir()} == {"spread.png", "settings.png"}
    counts = [line.split(" | ") for line in (out / "thresholds.md").read_text().splitlines()]
    assert counts[0][0] == "| quality at least"
    assert [row[0] for row in counts[2:]] == ["| 0.25", "| 0.5", "| 0.75"]
    notes = {verdict.claim.name: verdict.note for verdict in found.verdicts}
    assert notes.pop("P1.7 ranking").startswith("not tested: no results of low-dimensional-manifold in ")
    assert set(notes.values()) == {""}


def test_nothing_stands_in_at_another_scale(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path / "nothing"))
    plan = find_study("celeba").at("laptop")
    with pytest.raises(FileNotFoundError, match="CelebA is not in"):
        run_study(plan, tmp_path / "study", executor=InProcess())
    assert not list((tmp_path / "study").rglob("cell.json"))


# ---- what is read ------------------------------------------------------------------------------------------------


def at_one_setting(score: str, real: float, mean: float, **games: float) -> Table:
    names = [results.REAL, results.MEAN, *(name.replace("_", "-") for name in games)]
    return Table({"score": score, "game": names, score: [real, mean, *games.values()]})


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_quality_is_a_share_of_the_way_from_the_mean_image_to_real_data(sign) -> None:
    rows = at_one_setting("s", sign * 9.0, sign * 1.0, ns_gan=sign * 5.0, gan_gp=sign * 3.0, wgan_gp=math.nan)
    assert [results.quality(rows, game) for game in ("ns-gan", "gan-gp", "wgan-gp")] == [0.5, 0.25, 0.0]
    assert [results.trains(rows, game) for game in ("ns-gan", "gan-gp", "wgan-gp")] == [True, False, False]
    assert results.quality(at_one_setting("s", sign * 9.0, sign * 1.0, ns_gan=-sign * 50.0), "ns-gan") == 0.0
    undefined = at_one_setting("s", 2.0, 2.0, ns_gan=1.0)
    assert math.isnan(results.quality(undefined, "ns-gan"))
    assert not results.trains(undefined, "ns-gan")


def test_differences_by_hand() -> None:
    rows = at_one_setting("ms-ssim", 0.2, 1.0, ns_gan=0.5, gan_gp=0.1, dragan_ns=math.nan)
    assert results.less_similar("gan-gp", "ns-gan")(rows) == pytest.approx(0.1 - 0.3)
    assert results.less_similar("dragan-ns", "ns-gan")(rows) == pytest.approx(0.8 - 0.3)
    rows = at_one_setting("s", 1.0, 0.0, ns_gan=0.4, gan_gp=0.6, dragan_ns=0.4, wgan_gp=0.1)
    assert results.gain("gan-gp", "ns-gan")(rows) == pytest.approx(0.2)
    assert results.ranks_here(rows).tolist() == [2.5, 1.0, 2.5, 4.0]
    assert results.fails_where_a_penalty_trains(rows)
    assert not results.fails_where_a_penalty_trains(
        at_one_setting("s", 1.0, 0.0, ns_gan=0.9, gan_gp=0.1, dragan_ns=0.4, wgan_gp=0.1)
    )


def test_kendall_of_all_orders() -> None:
    from scipy.stats import kendalltau

    one = np.arange(4.0)
    found = [
        (kendall(one, one[list(order)]), kendalltau(one, order).statistic) for order in itertools.permutations(range(4))
    ]
    assert all(mine == pytest.approx(theirs, abs=1e-12) for mine, theirs in found)
    assert kendall(one, np.array([1.0, 1.0, 2.0, 3.0])) == pytest.approx(5 / 6)
    assert kendall(one, np.ones(4)) == 0.0


def agreement(there: np.ndarray, n: int = 20) -> RankAgreement:
    return RankAgreement(
        per_seed=lambda rows: rows["rank"], elsewhere=lambda: there, name="other", n=n, spread=1.0, by="setting"
    )


def test_agreement_of_rankings() -> None:
    def table(n):
        return Table({"setting": np.repeat(np.arange(n), 4), "rank": np.tile([1.0, 2.0, 3.0, 4.0], n)})

    same, turned = np.tile([1.0, 2.0, 3.0, 4.0], (30, 1)), np.tile([4.0, 3.0, 2.0, 1.0], (30, 1))
    for there, value in ((same, 1.0), (turned, -1.0)):
        estimate = agreement(there).estimate(table(20))
        assert (estimate.value, estimate.low, estimate.high) == (value, value, value)
    noise = results.ranks(np.random.default_rng(0).normal(size=(30, 4)))
    estimate = agreement(noise).estimate(table(20))
    assert estimate.low < -0.3 < 0.3 < estimate.high  # the other side's settings are resampled too
    assert agreement(same[:1]).estimate(table(20)).high == math.inf

    def missing():
        raise NotTested("nothing there")

    claim = Claim(name="c", statement="s", statistic=replace(agreement(same), elsewhere=missing), expected=above(0.0))
    assert (claim.judge(table(20)).ruling, claim.judge(table(20)).note) == ("undecided", "not tested: nothing there")


def manifold(out, better: str = "gan-gp", study_name: str = results.SYNTHETIC) -> None:
    """Stored results of the synthetic study in which one game ends nearest everywhere and NS-GAN farthest."""
    ends = dict.fromkeys(TITLES, 0.5) | {better: 0.01, "ns-gan": 0.9}
    rows = [
        {"function": "robustness", "game": game, "setting": f"s{s}", "seed": seed, "step": step, "frechet": end + seed}
        for (game, end), s, seed, step in itertools.product(ends.items(), range(8), range(3), (0.0, 100.0))
    ]
    store = Store(out)
    store.create({"study": study_name, "scale": "laptop", "claims": []})
    Table({name: [row[name] for row in rows] for name in rows[0]}).write(store.table)


def test_synthetic_ranks_are_those_of_median_ends(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(results.SYNTHETIC_VARIABLE, str(tmp_path / "there"))
    with pytest.raises(
        NotTested, match="no results of low-dimensional-manifold in .*there: run it, or set MANYPATHS_SYN"
    ):
        results.synthetic_ranks("laptop")
    manifold(tmp_path / "there")
    assert results.synthetic_ranks("laptop").tolist() == [[4.0, 1.0, 2.5, 2.5]] * 8
    manifold(tmp_path / "there", study_name="method-zoo")
    with pytest.raises(NotTested, match="no results"):
        results.synthetic_ranks("laptop")
    monkeypatch.delenv(results.SYNTHETIC_VARIABLE)
    monkeypatch.chdir(tmp_path)
    manifold(tmp_path / "runs" / "low-dimensional-manifold-paper")
    assert len(results.synthetic_ranks("paper")) == 8
    assert synthetic.study().name == results.SYNTHETIC


# ---- verdicts ----------------------------------------------------------------------------------------------------


def played(name: str, quality: dict[str, float], similarity: dict[str, float], at_many: float) -> Table:
    """A laptop's results: qualities and MS-SSIM of each game, up to noise, but WGAN-GP's at many critic steps."""
    rng, sign, rows = np.random.default_rng(0), LOSS[name], []
    cells = find_study(name).at("laptop").cells
    score = cells[0].columns["score"]
    to_score = lambda q: 10.0 + sign * (4.0 - 8.0 * q)  # noqa: E731
    for at, k in cells[0].settings["settings"]:
        for game, q, s in ((results.REAL, 1.0, 0.2), (results.MEAN, 0.0, 1.0)):
            rows.append(
                {
                    "function": "anchors",
                    "score": score,
                    "setting": at,
                    "critic_steps": k,
                    "game": game,
                    score: to_score(q),
                    "ms-ssim": s,
                }
            )
        for game in TITLES:
            q = at_many if (game, k) == ("wgan-gp", 5) else quality[game]
            one = {score: to_score(q + rng.normal(0, 0.02)), "ms-ssim": similarity[game] + rng.normal(0, 0.02)}
            rows.append({"function": "play", "score": score, "setting": at, "critic_steps": k, "game": game, **one})
    return Table({column: [row[column] for row in rows] for column in rows[0]})


@pytest.mark.parametrize("name", NAMES)
def test_every_verdict_flips(name, tmp_path, monkeypatch) -> None:
    similar = dict.fromkeys(TITLES, 0.5)
    right = played(
        name,
        {"ns-gan": 0.1, "gan-gp": 0.7, "dragan-ns": 0.6, "wgan-gp": 0.2},
        {"ns-gan": 0.8, "gan-gp": 0.3, "dragan-ns": 0.3, "wgan-gp": 0.3},
        at_many=0.3,
    )
    wrong = played(
        name,
        {"ns-gan": 0.9, "gan-gp": 0.2, "dragan-ns": 0.3, "wgan-gp": 0.8},
        {"ns-gan": 0.3, "gan-gp": 0.8, "dragan-ns": 0.8, "wgan-gp": 0.3},
        at_many=0.7,
    )
    monkeypatch.setenv(results.SYNTHETIC_VARIABLE, str(tmp_path))
    manifold(tmp_path)
    claims = {claim.name: claim for claim in find_study(name).at("laptop").claims}
    assert len(claims) == 4 + 4 + 1 + 1 + (name != "celeba")
    strongest = claims.pop("P1.5 strongest", None)
    assert {n: c.judge(right).ruling for n, c in claims.items()} == dict.fromkeys(claims, "holds")
    assert {c.negated().judge(right).ruling for c in claims.values()} == {"does not hold"}
    fails = claims.pop("P1.5 fails")
    assert {n: c.judge(wrong).ruling for n, c in claims.items()} == dict.fromkeys(claims, "does not hold")
    assert fails.judge(played(name, dict.fromkeys(TITLES, 0.9), similar, at_many=0.9)).ruling == "does not hold"
    floor = fails.judge(wrong)  # WGAN-GP cannot fail where the penalised games train if they do not
    assert floor.ruling == "undecided"
    assert floor.note.startswith("not tested: GAN-GP or DRAGAN-NS trains at 0 of ")
    if strongest:
        best = {"ns-gan": 0.2, "gan-gp": 0.6, "dragan-ns": 0.6, "wgan-gp": 0.0}
        assert strongest.judge(played(name, best, similar, at_many=0.8)).ruling == "holds"
        assert strongest.judge(right).ruling == "does not hold"
