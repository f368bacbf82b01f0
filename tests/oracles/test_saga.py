"""SAGA: by hand, unbiased at any dtype, honest about memory."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.metrics.gradient_noise import gradient_noise
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.oracles.saga import SAGA, _Memory
from manypaths.oracles.stochastic import Stochastic
from manypaths.rules.alternating import Alternating
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import FunctionSource, Index, IndexSource
from manypaths.sources.paired import PairedSource
from manypaths.testing.conformance import mean_error, small_gan, small_source
from manypaths.training import Training
from manypaths.vectors import flat


def digits_gan(norm: str = "none", *, dtype=torch.float64, size: int = 24) -> tuple[Adversarial, PairedSource]:
    generator = torch.Generator().manual_seed(0)
    real = torch.rand(size, 1, 8, 8, generator=generator, dtype=dtype) * 2 - 1
    nets = DcganGenerator(size=8, latent=4, width=4, norm=norm), DcganCritic(size=8, width=4, norm=norm)
    game = Adversarial(*(n.to(dtype) for n in nets), objective=NonSaturating())
    return game, PairedSource(real, latent=4)


def training_of(game, oracle, rule=None, lr: float = 0.05, **options) -> Training:
    optimizers = {n: torch.optim.SGD(game.parameters(n), lr=lr) for n in game.players}
    return Training(game, oracle, rule or Simultaneous(), optimizers, **options)


def through_disk(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("dtype", ["game", "bfloat16"])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_unbiased_over_all_summands_after_wandering(dtype, norm) -> None:
    game, source = digits_gan(norm)
    oracle = SAGA(source, batch=8, dtype=dtype)
    training = training_of(game, oracle, Extragradient())
    for _ in range(4):
        training.step()
    oracle.draw()
    assert oracle._table.rows["critic"].dtype == (torch.bfloat16 if dtype == "bfloat16" else torch.float64)
    assert len(oracle._table.rows["critic"]) == (3 if norm == "batch" else 24)
    assert mean_error(game, oracle) < 1e-12


def rows_at(game, w: Tensor) -> Tensor:
    return torch.einsum("nij,j->ni", game.matrices, w) + game.offsets


def test_saga_by_hand(finite_sum) -> None:
    """The recursion written out, with repeats inside a batch, on the same draws."""
    game, source = finite_sum
    w, lr, shadow = game.joint(), 0.05, IndexSource(source.size)
    training = training_of(game, SAGA(source, batch=20), lr=lr)
    table = rows_at(game, w)
    repeats = 0
    for _ in range(25):
        index = shadow.sample(20).index
        repeats += 20 - len(index.unique())
        here = rows_at(game, w)
        estimate = (here - table)[index].mean(0) + table.mean(0)
        table[index] = here[index]
        w = w - lr * estimate
        training.step()
        assert (game.joint() - w).norm() < 1e-13
    assert repeats > 0
    assert training.oracle.evaluations["x"] == source.size + 25 * 20 - repeats, (
        "a repeated component function is evaluated once"
    )


def test_saga_converges_linearly_where_stochastic_stalls(finite_sum) -> None:
    game, source = finite_sum
    start, distance = game.point(), {}
    for make in (SAGA, Stochastic):
        game.move_to(start)
        training = training_of(game, make(source, batch=1), lr=0.06)
        at = []
        for _ in range(3):
            for _ in range(500):
                training.step()
            at.append(float((game.joint() - game.solution()).norm()))
        distance[make] = at
    first, second, third = distance[SAGA]
    assert second < 1e-2 * first
    assert third < 1e-2 * second
    assert min(distance[Stochastic]) > 1e-2


def test_visits_enter_the_table_at_the_next_draw_for_the_asked_players_only(finite_sum) -> None:
    game, source = finite_sum
    oracle = SAGA(source, batch=1)
    oracle.bind(game)
    sample = oracle.draw()
    game.move_to({n: [w + 1.0 for w in ws] for n, ws in game.point().items()})
    i, before = int(sample.index), {n: rows.clone() for n, rows in oracle._table.rows.items()}
    first = oracle(game, sample, ("x",))
    assert torch.equal(first["x"][0], oracle(game, sample, ("x",))["x"][0])
    assert torch.equal(oracle._table.rows["x"], before["x"])
    state = oracle.state_dict()
    oracle(game, sample, ("y",))
    oracle.load_state_dict(state)
    oracle.draw()
    assert (oracle._table.rows["x"][i] - rows_at(game, game.joint())[i, :3]).norm() < 1e-14
    assert torch.equal(oracle._table.rows["y"], before["y"])
    others = torch.arange(50) != i
    assert torch.equal(oracle._table.rows["x"][others], before["x"][others])


def test_the_mean_survives_many_writes(finite_sum) -> None:
    game, source = finite_sum
    table = _Memory(game, source.size, "bfloat16")
    for k in range(5000):
        table.write("x", k % 50, [torch.randn(3, dtype=torch.float64) * 10.0 ** (k % 5)])
    assert (table.mean["x"] - table.rows["x"].double().mean(0)).norm() < 1e-10


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("rule", [Extragradient(), Alternating(("critic", "critic", "generator"))], ids=["eg", "alt"])
def test_resumed_equals_uninterrupted_bit_for_bit(norm, rule) -> None:
    def fresh() -> Training:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            game, source = digits_gan(norm, dtype=torch.float32, size=12)
        return training_of(game, SAGA(source, batch=4, dtype="bfloat16"), rule)

    whole = fresh()
    for _ in range(5):
        whole.step()
    for stop in (0, 3):
        first, second = fresh(), fresh()
        for _ in range(stop):
            first.step()
        state = through_disk(first.state_dict())
        second.load_state_dict(state)
        for _ in range(5 - stop):
            second.step()
        assert torch.equal(flat(whole.game.point()), flat(second.game.point()))
        assert whole.oracle.evaluations == second.oracle.evaluations


def test_measuring_noise_leaves_no_trace(finite_sum) -> None:
    game, _ = finite_sum
    start, ends = game.point(), []
    for measure in (False, True):
        game.move_to(start)
        training = training_of(game, SAGA(IndexSource(50), batch=2), Extragradient())
        for _ in range(4):
            training.step()
            if measure:
                gradient_noise(game, training.oracle, draws=3)
        ends.append(game.joint())
    assert torch.equal(*ends)


def test_the_moving_evaluation_is_one_and_the_last() -> None:
    game, source = small_gan(), small_source(16)
    calls = game.players["critic"].get_buffer("calls")
    game.gradients(source.sample(1), moves_buffers=True)
    once = float(calls)
    oracle = SAGA(source, batch=8)
    oracle.bind(game)
    sample = oracle.draw()
    assert float(calls) == once
    still = flat(oracle(game, sample))
    assert torch.equal(flat(oracle(game, sample, moves_buffers=True)), still)
    assert float(calls) == 2 * once


def test_a_jump_fills_the_table_anew_or_keeps_it(finite_sum) -> None:
    game, source = finite_sum
    for on_jump, moved in (("refresh", True), ("keep", False)):
        oracle = SAGA(source, batch=1, on_jump=on_jump)
        oracle.bind(game)
        oracle.draw()
        game.move_to({n: [w + 1.0 for w in ws] for n, ws in game.point().items()})
        oracle.jumped(game)
        mean = torch.cat([oracle._table.mean["x"], oracle._table.mean["y"]])
        assert bool((mean - game.field(game.joint())).norm() < 1e-13) == moved


def test_memory_is_said_and_refused_before_it_is_allocated(monkeypatch) -> None:
    game, source = digits_gan(dtype=torch.float32)
    weights = sum(p.numel() for n in game.players for p in game.parameters(n))
    gib = 24 * weights * 4 / 2**30
    words = f"{gib:.3g} GiB for 24 component functions at float32"
    assert SAGA(source, batch=8).bind(game) == f"the table of gradients takes {words}"
    assert f"{gib / 2:.3g} GiB" in SAGA(source, batch=8, dtype="bfloat16").bind(game)
    assert " GiB for 3 component functions at" in SAGA(source, batch=8, components="batches").bind(game)
    monkeypatch.setattr(_Memory, "__init__", lambda *a: pytest.fail("allocated"))
    with pytest.raises(InvalidValue, match=f"SAGA needs {words}, budget is 1e-06: raise it, or take"):
        training_of(game, SAGA(source, batch=8, budget=1e-6))


def test_refusals(finite_sum) -> None:
    game, source = finite_sum
    infinite = FunctionSource(lambda n, g: Index(torch.randint(5, (n,), generator=g)))
    with pytest.raises(InvalidType, match="a table of gradients needs a finite sum and FunctionSource is infinite"):
        SAGA(infinite, batch=1)
    with pytest.raises(InvalidValue, match="batch is 60: expected at most the 50 component functions"):
        SAGA(source, batch=60)
    with pytest.raises(InvalidValue, match="not bound to a game"):
        SAGA(source, batch=1).draw()
    with pytest.raises(InvalidType, match="restarts at snapshots and SAGA takes none"):
        training_of(game, SAGA(source, batch=1), averages=UniformAverage(restart=0.1))
