"""P1.3, P1.4, P1.6: distances in closed form, members against runs of their own, every verdict both ways."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from manypaths import Adversarial, Optimizers, Stochastic, Training
from manypaths.experiments.engine import run_study
from manypaths.experiments.executor import InProcess
from manypaths.experiments.records import verdict_record
from manypaths.experiments.tables import Table
from manypaths.randomness import generator_for
from manypaths.rules.alternating import Alternating
from manypaths.studies.low_dimensional_manifold import results, runs, study
from manypaths.studies.low_dimensional_manifold.data import PART, PARTS, Manifold, agree
from manypaths.studies.low_dimensional_manifold.results import REACHED, course_rises, setting_trains

SETTINGS = {"game": "gan-gp", "d": 5, "k": 2, "hidden": [6], "batch": 8, "critic_steps": 2, "beta1": 0.5}
COURSE = {**SETTINGS, "rates": [0.003, 0.02], "seeds": 2, "steps": 6, "every": 3}


def with_moments(mean: torch.Tensor, root: torch.Tensor, n: int = 50) -> torch.Tensor:
    """Samples whose mean is ``mean`` and whose covariance is root root', exactly."""
    raw = torch.randn(n, root.shape[1], generator=generator_for(1, "test"), dtype=torch.float64)
    raw = torch.linalg.qr(raw - raw.mean(0)).Q * math.sqrt(n - 1)
    return mean + raw @ root.T


def root_of(matrix: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def test_the_frechet_distance_of_two_gaussians() -> None:
    """Against square roots of d x d matrices, against ||A'R||_* for C = RR', and where the two matrices commute."""
    manifold = Manifold(6, 3, seed=4)
    data = manifold.factor @ manifold.factor.T
    assert float(data.trace()) == pytest.approx(6.0, abs=1e-12)
    draw = generator_for(2, "test")
    mean, root = (torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in ((6,), (6, 5)))
    samples, covariance = with_moments(mean, root), root @ root.T
    others = float(mean.square().sum() + covariance.trace() + data.trace())
    expected = (others - 2 * float(torch.linalg.matrix_norm(manifold.factor.T @ root, "nuc"))) / 6
    assert float(manifold.frechet(samples)) == pytest.approx(expected, abs=1e-10)
    half = root_of(data)  # of a singular matrix: half of the digits
    assert expected == pytest.approx((others - 2 * float(root_of(half @ covariance @ half).trace())) / 6, abs=1e-7)
    assert manifold.frechet(samples.expand(2, -1, -1)).tolist() == pytest.approx([expected] * 2, abs=1e-10)
    axes = torch.linalg.svd(manifold.factor, full_matrices=False)
    sigma, s = axes.S, torch.tensor([0.5, 0.0, 2.0], dtype=torch.float64)
    commuting = with_moments(torch.zeros(6, dtype=torch.float64), axes.U * s)
    assert float(manifold.frechet(commuting)) == pytest.approx(float((sigma - s).square().sum()) / 6, abs=1e-10)
    itself = with_moments(torch.zeros(6, dtype=torch.float64), manifold.factor)
    assert float(manifold.frechet(itself)) == pytest.approx(0.0, abs=1e-10)
    assert manifold.spectrum(itself).tolist() == pytest.approx(manifold.own_spectrum().tolist(), abs=1e-12)
    assert manifold.own_spectrum().tolist() == pytest.approx([*(sigma.square() / 6).tolist(), 0.0], abs=1e-12)


def test_samples_of_the_data_are_at_distance_zero_up_to_their_number() -> None:
    sample = Manifold(7, 2, seed=1).source().sample(20_000)
    assert float(Manifold(7, 2, seed=1).frechet(sample.real.double())) < 1e-3
    assert float(Manifold(7, 2, seed=2).frechet(sample.real.double())) > 0.1


@pytest.mark.parametrize("away", [0.0, 1.0])
def test_the_noise_floor_holds_its_rate(away) -> None:
    """A thousand pairs of models that differ and have one distribution: a rise in 1 of 32, near the data and far."""
    manifold, draw = Manifold(4, 3, seed=3), generator_for(5, "test")
    model = manifold.factor + away * torch.randn(4, 3, generator=draw, dtype=torch.float64)
    rises = []
    for _ in range(1000):
        bank = torch.randn(PARTS, PART, 3, generator=draw, dtype=torch.float64)
        turn = torch.linalg.qr(torch.randn(3, 3, generator=draw, dtype=torch.float64)).Q
        rises.append(agree(manifold.frechet(bank @ model.T), manifold.frechet(bank @ turn @ model.T)))
    assert np.mean(rises) == pytest.approx(1 / 32, abs=3 * math.sqrt(31) / 32 / math.sqrt(1000))
    here, farther = manifold.frechet(bank @ model.T), manifold.frechet(1.2 * bank @ model.T + 0.5)
    assert (agree(here, farther), agree(farther, here), agree(here, here)) == (1.0, 0.0, 0.0)


def alone(game: str, seed: int, rate: float, penalised=lambda step: True, steps: int = 6) -> Adversarial:
    """One GAN with stock Adam, its penalty on at the steps that ``penalised`` names."""
    played = runs.gan({**SETTINGS, "game": game}, seed)
    penalties = played.penalties
    optimizers = {n: torch.optim.Adam(played.parameters(n), lr=rate, betas=(0.5, 0.999)) for n in played.players}
    source = Manifold(5, 2, seed).source()
    training = Training(
        played, Stochastic(source, batch=8), Alternating(("critic", "critic", "generator")), Optimizers(optimizers)
    )
    for step in range(steps):
        played.penalties = penalties if penalised(step) else ()
        training.step()
    return played


def distance(game: Adversarial, seed: int) -> float:
    """Its Frechet distance on the bank, from the moments and the square root of a d x d matrix."""
    bank = torch.randn(PARTS * PART, 2, generator=generator_for(0, "manifold", "bank"))
    samples = game.generator(bank).detach().double()
    half = root_of(Manifold(5, 2, seed).factor @ Manifold(5, 2, seed).factor.T)
    cross = root_of(half @ torch.cov(samples.T) @ half).trace()
    return float(samples.mean(0).square().sum() + torch.cov(samples.T).trace() + 5 - 2 * cross) / 5


@pytest.mark.parametrize("game", runs.GAMES)
def test_a_member_is_the_same_gan_alone(game) -> None:
    found = runs.robustness({**COURSE, "game": game}, Path("unused"))
    table = Table(found)
    assert len(table) == 3 * 4
    last = table.where(step=6.0)
    for seed, rate in ((0, 0.003), (1, 0.02)):
        row = next(last.where(seed=seed, rate=rate).rows())
        assert row["frechet"] == pytest.approx(distance(alone(game, seed, rate), seed), rel=2e-5)
        assert row["setting"] == f"d=5 critic_steps=2 beta1=0.5 lr={rate:g}"
        own = Manifold(5, 2, seed).own_spectrum().tolist()
        assert [row[f"data_{j}"] for j in (1, 2, 3)] == pytest.approx(own, abs=1e-12)
    assert np.isnan(table.where(step=0.0)["rise"]).all()
    assert np.isnan(table.where(step=3.0)["model_1"]).all()


def test_arms_go_on_from_one_checkpoint() -> None:
    settings = {**COURSE, "rates": [0.02], "switch": 3, "every": 1}
    table = Table(runs.switched(settings, Path("unused")))
    courses = {arm: table.where(arm=arm, seed=1)["frechet"] for arm in runs.ARMS}
    assert (courses["off-off"][:4] == courses["off-on"][:4]).all()
    assert (courses["on-on"][:4] == courses["on-off"][:4]).all()
    assert courses["off-off"][3] != courses["on-on"][3]
    schedules = {
        "off-off": lambda s: False,
        "off-on": lambda s: s >= 3,
        "on-off": lambda s: s < 3,
        "on-on": lambda s: True,
    }
    ends = {arm: distance(alone("gan-gp", 1, 0.02, when), 1) for arm, when in schedules.items()}
    assert {arm: course[-1] for arm, course in courses.items()} == pytest.approx(ends, rel=2e-5)
    assert len({round(end, 6) for end in ends.values()}) == 4


@pytest.mark.parametrize("game", study.PENALISED)
def test_the_eigenvalues_are_those_of_the_dense_jacobian(game) -> None:
    settings = {**SETTINGS, "game": game, "hidden": [4], "rate": 0.01, "seeds": 1, "steps": 0}
    table = Table(runs.spectra(settings, Path("unused")))
    sample = Manifold(5, 2, 0).source().sample(runs.JACOBIAN_BATCH)
    sample = type(sample)(sample.real.double(), sample.latent.double(), sample.seed)
    for jacobian in ("off", "on"):
        played = runs.gan(settings, 0)
        weights = [p for module in played.players.values() for p in module.double().parameters()]
        played.penalties = played.penalties if jacobian == "on" else ()
        with played.differentiated_twice():
            losses = played.losses(sample, ("critic", "generator"))
            owns = [list(module.parameters()) for module in played.players.values()]
            field = [
                g for loss, own in zip(losses.values(), owns, strict=True)
                for g in torch.autograd.grad(loss, own, create_graph=True)
            ]  # fmt: skip
        entries = torch.cat([g.reshape(-1) for g in field])
        rows = [
            torch.autograd.grad(e, weights, retain_graph=True, allow_unused=True, materialize_grads=True)
            for e in entries
        ]
        dense = torch.stack([torch.cat([g.reshape(-1) for g in row]) for row in rows])
        for visited in ("off", "on"):
            found = study.eigenvalues(table.where(jacobian=jacobian, visited=visited))
            assert found.sum() == pytest.approx(float(dense.trace()), abs=1e-9)
            assert (found**2).sum() == pytest.approx(float((dense @ dense).trace()), rel=1e-9)
            assert study.leftmost(found) == pytest.approx(float(torch.linalg.eigvals(dense).real.min()), abs=1e-7)
            assert study.mean_real(found) == pytest.approx(float(dense.trace()) / len(dense), abs=1e-10)


# ---- verdicts ----------------------------------------------------------------------------------------------------


def test_a_setting_trains_where_most_seeds_arrive_and_stay() -> None:
    step = np.tile(np.arange(0.0, 101.0, 10), 3)
    course = lambda *last: np.concatenate([np.linspace(1, REACHED / 2, 10), last])  # noqa: E731
    rise = np.tile([math.nan, 0, 1, 0, 0, 1, 0, 0, 0, 1, 1], 3)
    frechet = np.concatenate([course(0.01), course(REACHED), course(1.0)])  # the third has been near and left
    rows = Table({"seed": np.repeat([0, 1, 2], 11), "game": "g", "step": step, "frechet": frechet, "rise": rise})
    assert setting_trains(rows)
    assert not setting_trains(rows.where(seed=2))
    assert not setting_trains(rows.take(rows["seed"] > 0)), "one of two is not most"
    assert course_rises(rows, to_arrival=False) == (2 * 4, 2 * 10)
    assert course_rises(rows, to_arrival=True) == (2 * 3, 2 * 9)
    assert math.isnan(study.ratio(np.zeros((3, 2))))


def synthetic(scale: str, *, right: bool = True) -> Table:
    """Results as the claims expect them, or made false: the other games win, nothing rises, penalties do harm."""
    rng, tables = np.random.default_rng(0), []
    for cell in study.cells(scale):
        s = cell.settings
        if cell.name == "spectra":
            rows = spectrum_rows(s["seeds"], rng, right)
        else:
            labels = [[a, r, i] for a in runs.ARMS for r in s["rates"] for i in range(s["seeds"])]
            if cell.name == "robustness":
                labels = [[place_of(s, r), r, i] for r in s["rates"] for i in range(s["seeds"])]
            rows = course_rows(s, cell.name, labels, rng, right)
        tables.append(Table(rows).with_columns({"function": cell.name, **cell.columns}))
    return Table.concatenate(tables)


def place_of(s, rate) -> str:
    return f"d={s['d']} critic_steps={s['critic_steps']} beta1={s['beta1']:g} lr={rate:g}"


def course_rows(s, name, labels, rng, right):
    steps, columns = np.linspace(0, s["steps"], 11), {"label": [], "rate": [], "seed": [], "step": [], "frechet": []}
    for label, rate, seed in labels:
        if name == "switched":
            end = 0.3 if (label == "off-off") == right else 0.03
        else:
            winner = (s["game"] in study.PENALISED) == right
            end = 0.01 if winner or rate < 5e-3 else 1.0
        columns["label"] += [label] * 11
        columns["rate"] += [rate] * 11
        columns["seed"] += [seed] * 11
        columns["step"] += steps.tolist()
        columns["frechet"] += [*np.linspace(1.0, end + 1e-9, 10), end * rng.lognormal(0, 0.1)]
    rise = np.tile([math.nan, *[1.0, 0.0] * 5], len(labels)) * (1.0 if right else 0.0)
    first = {"robustness": "setting", "switched": "arm"}[name]
    return {first: columns.pop("label"), **columns, "rise": rise}


def spectrum_rows(seeds, rng, right):
    rows = []
    for seed in range(seeds):
        for visited in ("off", "on"):
            for jacobian in ("off", "on"):
                shift = (1.0 if (jacobian == "on") == right else 0.0) + rng.normal(0, 0.05)
                rows += [(visited, seed, jacobian, real + shift, imag) for real, imag in ((-1.0, 2.0), (-1.0, -2.0))]
    return dict(zip((*runs._POINT, "real", "imaginary"), map(list, zip(*rows, strict=True)), strict=True))


def test_every_verdict_flips() -> None:
    claims, right, wrong = study.claims("laptop"), synthetic("laptop"), synthetic("laptop", right=False)
    assert len(claims) == 4 + 2 + 16
    assert {claim.name: claim.judge(right).ruling for claim in claims} == {claim.name: "holds" for claim in claims}
    assert {claim.negated().judge(right).ruling for claim in claims} == {"does not hold"}
    rulings = {claim.name: claim.judge(wrong).ruling for claim in claims}
    assert rulings == {claim.name: "does not hold" for claim in claims}


def test_settings_are_counted_at_several_thresholds() -> None:
    rows = results.thresholds(synthetic("laptop")).splitlines()
    assert rows[0] == "| Frechet distance at most | NS-GAN | GAN-GP | DRAGAN-NS | WGAN-GP |"
    assert rows[3] == "| 0.05 | 24 | 40 | 40 | 24 |", "the winners end at 0.01, the others do at three of five rates"


def test_the_study(tmp_path) -> None:
    plan = study.study().at("smoke")
    found = run_study(plan, tmp_path, executor=InProcess(), console=Console(file=io.StringIO()))
    assert found.state == "finished"
    assert len(found.verdicts) == 4 + 2 + 10
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    assert drawn == {"robustness.png", "spectrum.png", "dynamics.png"}
    assert (tmp_path / "thresholds.md").read_text().count("\n") == 2 + len(results.OTHERS)
    again = run_study(plan, tmp_path, executor=InProcess(), console=Console(file=io.StringIO()))
    assert [verdict_record(v) for v in again.verdicts] == [verdict_record(v) for v in found.verdicts]


def test_scales() -> None:
    for scale in ("laptop", "paper"):
        robust = [cell.settings for cell in study.cells(scale) if cell.name == "robustness"]
        assert {s["game"] for s in robust} == set(runs.GAMES)
        assert {10, 100} == {s["d"] for s in robust}
        assert {1, 5} <= {s["critic_steps"] for s in robust}
        assert all(width >= 2 * s["k"] for s in robust for width in s["hidden"]), "the data are not representable"
        assert study.SEEDS[scale] % 2 == 1
    assert study.settings_of("laptop") == 40
    assert 1000 < sum(cell.seconds for cell in study.cells("laptop")) / 2 < 2400
