"""P1.1-3, P1.8: exact distances against other integrals, a member against a run alone, verdicts that flip."""

from __future__ import annotations

import io
import math
from functools import partial

import numpy as np
import pytest
import torch
from rich.console import Console

from manypaths import FunctionSource, Stochastic, Training
from manypaths.experiments.engine import run_study
from manypaths.experiments.executor import InProcess
from manypaths.experiments.tables import Table
from manypaths.metrics.quadrature import Grid
from manypaths.metrics.transport import wasserstein
from manypaths.rules.alternating import Alternating
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources import GanSample
from manypaths.studies.parallel_lines import results, runs, segments, study


@pytest.fixture
def tilted() -> tuple[torch.Tensor, torch.Tensor]:
    """Two models in the plane: tilted and displaced, and longer and nearer."""
    a = torch.tensor([[0.3, 0.8], [-0.1, -1.3]], dtype=torch.float64)
    return a, torch.tensor([[0.7, 0.2], [0.2, -0.3]], dtype=torch.float64)


def test_transport_between_segments_against_pot(tilted) -> None:
    a, b = tilted
    z = (torch.arange(100, dtype=torch.float64)[:, None] + 0.5) / 50 - 1
    for i in range(2):
        data = torch.cat([torch.zeros_like(z), z], 1)
        found = wasserstein(z * a[i] + b[i], data, order=2)
        assert float(segments.squared_wasserstein(a, b)[i]) == pytest.approx(found**2, rel=3e-4)


def test_smoothed_divergences_against_a_grid_of_the_plane(tilted) -> None:
    a, b = tilted
    s, grid = 0.3, Grid((-3.0, -4.0), (4.0, 4.0), 160)
    log_p, log_q = (
        segments.log_smoothed(grid.points[None].expand(len(x), -1, -1), x, y, s)
        for x, y in ((torch.tensor([[0.0, 1.0]] * 2, dtype=torch.float64), torch.zeros_like(b)), (a, b))
    )
    cell = 7 * 8 / 160**2 / (s * math.sqrt(2 * math.pi))
    p, q = (log.exp() * cell for log in (log_p, log_q))
    assert (p.sum(1) - 1).abs().max() < 1e-6
    assert (q.sum(1) - 1).abs().max() < 1e-6
    found, middle = segments.smoothed(a, b, s), ((p + q) / 2).log() - math.log(cell)
    assert torch.allclose(found["kl"], (p * (log_p - log_q)).sum(1), atol=2e-3, rtol=1e-3)
    assert torch.allclose(found["reverse-kl"], (q * (log_q - log_p)).sum(1), atol=2e-3, rtol=1e-3)
    jsd = ((p * (log_p - middle)).sum(1) + (q * (log_q - middle)).sum(1)) / 2
    assert torch.allclose(found["jsd"], jsd, atol=1e-3)


def test_smoothed_divergences_do_not_see_a_turn_of_space(tilted) -> None:
    """In d = 5, rotated within the directions across the data, and embedded from the plane."""
    a, b = (torch.cat([v, torch.zeros(2, 3, dtype=torch.float64)], 1) for v in tilted)
    turn = torch.eye(5, dtype=torch.float64)
    across = [0, 2, 3, 4]
    turn[np.ix_(across, across)] = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
    plane = segments.smoothed(*tilted, 0.3)
    for name, value in segments.smoothed(a @ turn.T, b @ turn.T, 0.3).items():
        assert torch.allclose(value, plane[name], atol=1e-5, rtol=1e-6), name


def test_the_gradient_of_the_smoothed_jsd() -> None:
    """By one integral over the line, by autograd through Gauss's rules, and by its limit sqrt(pi / 8) / s exp(...)."""
    for s, nodes in ((0.5, segments.NODES), (0.2, segments.FINE_NODES)):
        a, b = segments.start(1, 2, 1.0)
        b.requires_grad_()
        jsd = segments.smoothed(a, b, s, nodes=nodes)["jsd"].sum()
        (gradient,) = torch.autograd.grad(jsd, b)
        assert float(gradient[0, 0]) == pytest.approx(segments.jsd_slope(1.0, s), rel=3e-3)
        assert abs(float(gradient[0, 1])) < 1e-12
    assert segments.jsd_slope(1.0, 0.02) == pytest.approx(segments.slope_limit(1.0, 0.02), rel=3e-3)


def test_the_exact_jsd() -> None:
    a, b = segments.start(4, 3, 0.0)
    b[0, 0], b[1, 1], b[2, 1] = 1e-9, 1.0, 5.0
    # off the line; half of both overlaps; apart on the line; equal
    expected = torch.tensor([math.log(2), math.log(2) / 2, math.log(2), 0.0], dtype=torch.float64)
    assert torch.allclose(segments.jensen_shannon(a, b), expected, atol=1e-14)
    a[3, 1] = 2.0  # p = 1/2 on half of q's support, q = 1/4
    by_hand = (math.log(4 / 3) + math.log(2 / 3) / 2 + math.log(2) / 2) / 2
    assert float(segments.jensen_shannon(a, b)[3]) == pytest.approx(by_hand, rel=1e-12)
    generator = torch.Generator().manual_seed(0)
    slopes = segments.largest_slope(*segments.start(2, 3, 1.0), generator=generator)
    assert slopes.tolist() == [0.0, 0.0]


def second_of_two(n: int, generator: torch.Generator, *, d: int) -> GanSample:
    """Member 1's part of what a population of two draws."""
    both = runs.draw(n, generator, members=2, d=d)
    return GanSample(**{name: t[1] for name, t in both.stacked.items()})


@pytest.mark.parametrize("name", ["GAN-GP", "M-GAN, trained critic, plain steps", "WGAN"])
def test_a_member_is_a_run_alone(name) -> None:
    arm, d = runs.ARMS[name], 3
    stack = runs.population(arm, 2, d, 1.0)
    training = runs.training(arm, stack, d, warm_up=2)
    game = runs.population(arm, 2, d, 1.0)
    with game.member(1) as alone:
        source = FunctionSource(partial(second_of_two, d=d))
        optimizers = {
            n: torch.optim.Adam(alone.parameters(n), lr=runs.LEARNING_RATE, betas=runs.BETAS) for n in alone.players
        }
        if arm.base == "plain":
            optimizers["generator"] = torch.optim.SGD(alone.parameters("generator"), lr=runs.PLAIN_RATE)
        order = ("critic",) * arm.critic_steps + ("generator",)
        by_hand = Training(alone, Stochastic(source, batch=runs.BATCH), Alternating(order), optimizers)
        for _ in range(2):
            Simultaneous().step(alone, by_hand.oracle, by_hand.optimizers, ("critic",))
        for _ in range(3):
            training.step()
            by_hand.step()
        a, b = runs.model(stack)
        weight, bias = (p.detach().double() for p in alone.parameters("generator"))
        assert torch.allclose(a[1], weight[:, 0], atol=1e-6)
        assert torch.allclose(b[1], bias, atol=1e-6)
        assert not torch.allclose(bias, segments.start(1, d, 1.0)[1][0], atol=1e-6)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    plan, directory = study.study().at("smoke"), tmp_path_factory.mktemp("study")
    found = run_study(plan, directory, executor=InProcess(), console=Console(file=io.StringIO()))
    return plan, found, directory


def test_the_study(ended) -> None:
    plan, found, directory = ended
    assert found.state == "finished"
    rulings = {verdict.claim.name: verdict.ruling for verdict in found.verdicts}
    assert len(rulings) == len(plan.claims) == 2 + 3 + 5 + 10
    for name in ("NS-GAN, JSD", "NS-GAN, gradient", "smoothed JSD, descent"):
        assert rulings[f"P1.1 {name}"] == "holds"
    assert {path.name for path in (directory / "figures").iterdir()} == {"points.png", "trace.png", "gradients.png"}


def test_the_trace_is_in_the_table(ended) -> None:
    """W_2 is that of a and b, the sampled Frechet distance is its square up to sampling, rises are as told."""
    rows = results.ordered(Table.read(ended[2] / "table.parquet").where(function="play", arm="GAN-GP", seed=1))
    a, b = (torch.tensor(np.stack([rows[f"{name}{i}"] for i in (0, 1)], 1)) for name in "ab")
    assert np.allclose(rows["w2"] ** 2, segments.squared_wasserstein(a, b).numpy(), rtol=1e-12)
    assert np.allclose(rows["frechet"], rows["w2"] ** 2, rtol=0.1)
    for name in runs.EXACT:
        level = runs.TOLERANCE * np.maximum(np.abs(rows[name][:-1]), 1)
        assert (rows[f"{name}_rose"][1:] == (np.diff(rows[name]) > level)).all()


MARKS = np.arange(21)
ARRIVING = np.clip(1 - MARKS / 16, 0.001, 1)


def made(*, true: bool, arrives: bool = True) -> Table:
    """A laptop's table in which every claim is true, or every claim false (that NS-GAN arrives only as told)."""
    tables = []
    for name in runs.ARMS:
        for d, seed in ((d, seed) for d in (2, 10) for seed in range(study.SEEDS["laptop"])):
            stays = ("trained" in name) if true else "trained" not in name and not (name == "NS-GAN" and arrives)
            w2 = np.ones(21) if stays else ARRIVING
            rose = (MARKS % 2 == 0) & (MARKS > 0) if true else np.zeros(21, dtype=bool)
            falls = np.exp(-MARKS / 5) if true else np.exp(MARKS / 5)
            tables.append(
                Table(
                    {
                        "function": "play",
                        "arm": name,
                        "dimension": d,
                        "seed": seed,
                        "displacement": 1.0,
                        "step": MARKS,
                        "w2": w2,
                        "field_norm": falls,
                        "gap": np.where(MARKS % 5, np.nan, falls),
                        "exact_jsd": np.full(21, math.log(2) if true else 0.5),
                        "exact_slope": 0.0 if true else 0.1,
                        **{
                            f"{q}_rose": (rose if true or q != "w2" else MARKS == 3).astype(float)
                            for q in results.QUANTITIES
                        },
                    }
                )
            )
    for s, d, seed in ((s, d, seed) for s in (0.1, 0.2, 0.3) for d in (2, 10) for seed in range(20)):
        jsd, ns = (segments.slope_limit(1.0, s), 3.0) if true else (1.0, s**2)
        tables.append(
            Table(
                {
                    "function": "signal",
                    "s": s,
                    "dimension": d,
                    "seed": [seed],
                    "displacement": 1.0,
                    "jsd": jsd,
                    "ns": ns,
                }
            )
        )
    tables.append(Table({"function": "descend", "s": 0.1, "step": [0, 1], "w2": [1.0, 0.999 if true else 0.1]}))
    return Table.concatenate(tables)


def test_every_verdict_flips() -> None:
    claims = study.claims("laptop")
    true, false = made(true=True), made(true=False)
    assert {c.name for c in claims if c.judge(true).ruling != "holds"} == set()
    assert {c.name for c in claims if c.negated().judge(true).ruling != "does not hold"} == set()
    stuck = made(true=False, arrives=False)
    arrivals = {f"P1.1 NS-GAN, d={d}" for d in (2, 10)}
    rulings = {c.name: c.judge(stuck if c.name in arrivals else false).ruling for c in claims}
    assert {name for name, ruling in rulings.items() if ruling != "does not hold"} == set()
    lost = {c.name for c in claims if c.name.startswith(("P1.3", "P1.8"))}
    assert {c.judge(stuck).ruling for c in claims if c.name in lost} == {"undecided"}  # no run to judge from


def test_runs_that_fail_or_diverge() -> None:
    columns = {"step": MARKS, "displacement": 1.0, "gap": 1.0, "field_norm": 1.0}
    columns |= {f"{q}_rose": 1.0 for q in results.QUANTITIES}
    still, lost, gone = (Table({**columns, "w2": w2}) for w2 in (np.ones(21), np.full(21, np.nan), 10.0 * np.ones(21)))
    assert [results.reached(t) for t in (still, lost, gone)] == [False] * 3
    assert [results.stalled(t) for t in (still, lost, gone)] == [True, False, False]
    assert math.isnan(results.risen("kl")(still))
    assert math.isnan(results.mean_of_numbers(np.array([np.nan])))
    came = Table({**columns, "w2": ARRIVING})
    assert len(results.way(came)) == 16  # w2 = 1 / 16 at the last of them
    assert results.risen("kl")(came) == 1.0


def test_scales() -> None:
    cells = study.cells("laptop")
    assert study.SEEDS["laptop"] >= 20
    assert sum(cell.seconds for cell in cells) < 2 * 300
    assert {cell.settings["arm"] for cell in cells if cell.name == "play"} == set(runs.ARMS)
