"""SVRG that keeps the gradients of its full pass: the same to the bit, unbiased when rounded, honest about cost."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.base import Game
from manypaths.games.from_losses import FromLosses
from manypaths.metrics.gradient_noise import gradient_noise
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.layers import Norm
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.oracles.full_batch import full_gradient
from manypaths.oracles.importance import Importance
from manypaths.oracles.snapshot import StoredGradients
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.table import GradientTable, gib_per_row
from manypaths.penalties.r1 import R1
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.alternating import Alternating
from manypaths.rules.base import Rule
from manypaths.rules.extragradient import Extragradient
from manypaths.sources.base import IndexSource
from manypaths.sources.paired import PairedSource
from manypaths.testing.conformance import mean_error
from manypaths.training import Training
from manypaths.vectors import flat

BATCH, BATCHES = 4, 5


def gan(norm: Norm = "batch", dtype: torch.dtype = torch.float64) -> tuple[Adversarial, PairedSource]:
    """An 8x8 DCGAN on 22 random images, two of which no partition has; with spectral norm and R1 for ``none``."""
    torch.manual_seed(0)
    critic = DcganCritic(size=8, width=4, norm="spectral" if norm == "none" else norm)
    generator = DcganGenerator(size=8, latent=4, width=4, norm=norm)
    real = torch.rand(22, 1, 8, 8, dtype=dtype) * 2 - 1
    penalties = () if norm == "batch" else (R1(),)
    game = Adversarial(generator.to(dtype), critic.to(dtype), objective=NonSaturating(), penalties=penalties)
    return game, PairedSource(real, latent=4)


def room(game: Game, rows: float, store: Any = "game") -> float:
    return rows * gib_per_row(game, store)


def trained(game: Game, oracle: SVRG, rule: Rule, steps: int) -> Training:
    optimizers = {n: torch.optim.SGD(game.parameters(n), lr=0.05) for n in game.players}
    training = Training(game, oracle, rule, optimizers)
    for _ in range(steps):
        training.step()
    return training


def state_of(game: Game) -> Tensor:
    return torch.cat([flat(game.point()), *[b.to(flat(game.point()).dtype).reshape(-1) for b in game.buffers()]])


def wander(game: Game, oracle: SVRG) -> None:
    """Away from the snapshot, in weights and in buffers."""
    oracle.bind(game)
    oracle.take_snapshot(game)
    game.move_to({n: [w + 0.02 * torch.randn_like(w) for w in ws] for n, ws in game.point().items()})
    game.gradients(oracle.draw(), moves_buffers=True)


@pytest.mark.parametrize("rule", [Extragradient(), Extragradient(fresh_sample=False)], ids=["fresh", "same"])
@pytest.mark.parametrize("rows", [BATCHES, 2.5])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_in_the_dtype_of_the_weights_ten_steps_are_the_same_to_the_bit(norm: Norm, rows: float, rule: Rule) -> None:
    torch.set_num_threads(1)
    ends, costs = [], []
    for store in ("none", "game"):
        game, source = gan(norm, torch.float32)
        options: Any = {"components": "batches"} if store == "none" else {"store": store, "budget": room(game, rows)}
        training = trained(game, SVRG(source, batch=BATCH, schedule="fixed", every=7, **options), rule, 10)
        ends.append(state_of(game))
        costs.append(training.oracle.evaluations["critic"] / BATCH)
    assert torch.equal(*ends)
    draws = 20 if rule.fresh_sample else 10  # type: ignore[attr-defined]
    passes = 1 + (2 if rule.fresh_sample else 1)  # type: ignore[attr-defined]
    assert costs[0] == passes * BATCHES + 40
    assert costs[1] == passes * BATCHES + 20 if rows == BATCHES else draws < costs[1] < costs[0]


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_with_two_threads_the_steps_are_the_same(two_threads: None, norm: Norm) -> None:
    ends = []
    for options in ({"components": "batches"}, {"store": "game"}):
        game, source = gan(norm)
        trained(game, SVRG(source, batch=BATCH, schedule="fixed", every=7, **options), Extragradient(), 10)
        ends.append(state_of(game))
    torch.testing.assert_close(*ends, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rows", [BATCHES, 2])
@pytest.mark.parametrize("store", ["game", "float32", "bfloat16"])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_unbiased_over_all_batches_at_any_dtype(norm: Norm, store: Any, rows: int) -> None:
    game, source = gan(norm)
    oracle = SVRG(source, batch=BATCH, store=store, budget=room(game, rows, store))
    wander(game, oracle)
    assert mean_error(game, oracle) < 1e-13
    assert oracle.snapshot is not None
    with game.at(oracle.snapshot.point, oracle.snapshot.buffers):
        exact = flat(full_gradient(game, map(oracle.partition.take, range(BATCHES)), equal=True)[0])
    error = float((flat(oracle.snapshot.mean) - exact).norm() / exact.norm())
    low, high = {"game": (0.0, 1e-14), "float32": (1e-10, 1e-6), "bfloat16": (1e-5, 1e-2)}[store]
    assert low <= error < high, "the mean is that of the stored values"


def test_a_stored_draw_costs_one_evaluation_and_the_others_two() -> None:
    game, source = gan()
    oracle = SVRG(source, batch=BATCH, store="game", budget=room(game, 2))
    oracle.bind(game)
    oracle.take_snapshot(game)
    costs = []
    for _, sample in oracle.outcomes():
        before = oracle.evaluations.copy()
        oracle(game, sample, ("critic",))
        costs.append((oracle.evaluations["critic"] - before["critic"]) / BATCH)
        assert oracle.evaluations["generator"] == before["generator"]
    assert costs == [1, 1, 2, 2, 2]


def test_probes_of_whether_it_helps_read_the_table() -> None:
    costs = []
    for store in ("none", "game"):
        game, source = gan()
        oracle = SVRG(source, batch=BATCH, when="helps", check_every=1, probes=3, store=store)
        oracle.bind(game)
        oracle(game, oracle.draw())  # at the snapshot it helps
        costs.append(oracle.evaluations["critic"] / BATCH)
    assert costs == [BATCHES + 2 * 3 + 2, BATCHES + 3 + 1]


def test_importance_reads_the_rows_of_what_it_draws() -> None:
    game, source = gan()
    oracle = Importance(SVRG(source, batch=BATCH, store="game"), [1.0, 2.0, 3.0, 4.0, 5.0])
    oracle.bind(game)
    oracle(game, oracle.draw())
    assert oracle.evaluations["critic"] == BATCH * (BATCHES + 1)


def through_disk(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(
    ("rule", "rows", "threads"),
    [(Extragradient(), BATCHES, 1), (Extragradient(), 3, 2), (Alternating(("critic", "critic", "generator")), 3, 1)],
    ids=["all", "half, two concurrent evaluations", "alternating, half"],
)
def test_resumed_equals_uninterrupted_bit_for_bit(two_threads: None, rule: Rule, rows: int, threads: int) -> None:
    torch.set_num_threads(threads)

    def fresh(steps: int) -> Training:
        game, source = gan("batch", torch.float32)
        budget = room(game, rows, "bfloat16")
        oracle = SVRG(source, batch=BATCH, schedule="fixed", every=4, store="bfloat16", budget=budget)
        return trained(game, oracle, rule, steps)

    whole = fresh(4)
    for stop in (0, 3):
        first, second = fresh(stop), fresh(0)
        saved = through_disk(first.state_dict())
        tensors = sum(t.numel() for t in _tensors(saved["oracle"]))
        assert tensors < 3 * len(state_of(first.game)), "the table is not checkpointed"
        second.load_state_dict(saved)
        for _ in range(4 - stop):
            second.step()
        assert torch.equal(state_of(whole.game), state_of(second.game))
        assert whole.oracle.evaluations == second.oracle.evaluations, "what is evaluated again is not counted"


def _tensors(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state] if state.is_floating_point() else []
    items = state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ()
    return [t for item in items for t in _tensors(item)]


def test_measuring_noise_leaves_no_trace_and_evaluates_nothing_again(monkeypatch) -> None:
    monkeypatch.setattr(StoredGradients, "again", lambda *a: pytest.fail("the table was evaluated again for nothing"))
    ends, noises = [], []
    for measure in (False, True):
        game, source = gan()
        training = trained(game, SVRG(source, batch=BATCH, store="game"), Extragradient(), 2)
        for _ in range(3):
            training.step()
            if measure:
                noises.append(gradient_noise(game, training.oracle, draws=6))
        ends.append(state_of(game))
    assert torch.equal(*ends)
    assert 0 < noises[0]["critic"].ratio < 1


def test_the_snapshot_evaluation_is_the_row_and_its_reader_owns_it() -> None:
    game, source = gan()
    oracle = SVRG(source, batch=BATCH, store="game")
    wander(game, oracle)
    sample, snapshot = oracle.draw(), oracle.snapshot
    assert snapshot is not None
    with game.at(snapshot.point, snapshot.buffers):
        evaluated = game.gradients(sample)
    found = oracle.at_snapshot(game, sample)
    assert (flat(found) - flat(evaluated)).norm() < 1e-14
    for name in found:
        assert (found.losses[name] - evaluated.losses[name]).abs() < 1e-14
    estimate = flat(oracle(game, sample))
    for tensors in found.values():
        for tensor in tensors:
            assert tensor is not None
            tensor.zero_()
    assert torch.equal(flat(oracle(game, sample)), estimate)


def test_a_sample_of_an_older_partition_is_evaluated_at_both_points() -> None:
    game, source = gan()
    oracle = SVRG(source, batch=BATCH, store="game")
    wander(game, oracle)
    sample = oracle.draw()
    oracle.take_snapshot(game)
    snapshot, before = oracle.snapshot, oracle.evaluations["critic"]
    assert snapshot is not None
    game.move_to({n: [w + 0.02 for w in ws] for n, ws in game.point().items()})
    with game.at(snapshot.point, snapshot.buffers):
        then = flat(game.gradients(sample))
    expected = flat(game.gradients(sample)) - then + flat(snapshot.mean)
    assert (flat(oracle(game, sample)) - expected).norm() < 1e-13
    assert oracle.evaluations["critic"] - before == 2 * BATCH


def test_rows_have_the_layout_of_the_weights() -> None:
    game, source = gan()
    for module in game.players.values():
        module.to(memory_format=torch.channels_last)
    game.critic.bias = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))  # no loss depends on it
    found = game.gradients(source.sample(4))
    table = GradientTable(game, 2, "game")
    for name in found:
        table.write(name, 1, found[name])
        for g, row, p in zip(found[name], table.read(name, 1), game.parameters(name), strict=True):
            assert (g is None) == (row is None) == (p is game.critic.bias)
            if g is not None and row is not None:
                assert torch.equal(g, row)
                assert row.stride() == p.stride()


def test_a_row_without_a_gradient_is_zero_whatever_an_older_table_had_there() -> None:
    a = torch.nn.ParameterList([torch.ones(1), torch.ones(2)])
    table = GradientTable(FromLosses({"a": lambda s, a: a[0].sum()}, {"a": a}), 2, "game")
    for number in range(2):
        table.write("a", number, [torch.ones(1), torch.ones(2)])
    table.forget()
    table.write("a", 0, [torch.full((1,), 3.0), None])
    assert table.read("a", 0)[1] is None
    table.write("a", 1, [None, torch.full((2,), 5.0)])
    assert [row.tolist() for k in range(2) for row in table.read("a", k)] == [[3.0], [0.0, 0.0], [0.0], [5.0, 5.0]]


def test_what_is_stored_is_said() -> None:
    game, source = gan("none", torch.float32)
    sizes = [sum(p.numel() for p in game.parameters(name)) for name in game.players]
    gib = 5 * sum(sizes) * 4 / 2**30
    parts = (
        "the finite sum runs over the 5 mini-batches of 4 of a fixed partition, 2 samples left out of each partition, "
        "and the full pass uses exactly these"
    )
    table = f"the gradients of 5 of 5 are stored, {gib:.3g} GiB at float32"
    assert SVRG(source, batch=4, store="game").bind(game) == f"{parts}; {table}"
    half = SVRG(source, batch=4, store="bfloat16", budget=room(game, 3, "bfloat16")).bind(game)
    table = f"the gradients of 3 of 5 are stored, {gib * 3 / 10:.3g} GiB at bfloat16, the others are evaluated again"
    assert half == f"{parts}; {table}"
    game, source = gan("batch")
    assert SVRG(source, batch=4, store="game").bind(game).startswith("the samples of a batch are coupled: the finite")


def test_refusals() -> None:
    game, source = gan()
    with pytest.raises(InvalidValue, match="budget is 1e-09 GiB and one mini-batch's gradients take 2.31e-05: raise"):
        SVRG(source, batch=4, store="game", budget=1e-9).bind(game)
    with pytest.raises(
        InvalidValue, match="components is 'samples', and store is 'game', which keeps one row per mini"
    ):
        SVRG(source, batch=4, store="game", components="samples")
    population = Population([Bilinear(torch.ones(4, 1, 1, dtype=torch.float64)) for _ in range(2)], seeds=(0, 1))
    with pytest.raises(InvalidType, match="store is 'game', a table for one run: expected 'none' for a Population"):
        SVRG(PopulationSource.of(lambda seed: IndexSource(4, seed=seed), (0, 1)), batch=1, store="game").bind(
            population
        )
