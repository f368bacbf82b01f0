"""Two processes take the steps of one: fields, trajectories, and what cannot be split."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn

from manypaths import (
    SVRG,
    Adversarial,
    Alternating,
    Dragan,
    Extragradient,
    FromLosses,
    FullBatch,
    Game,
    NonSaturating,
    PairedSource,
    Stochastic,
    Training,
    UniformAverage,
)
from manypaths.distributed import Distributed
from manypaths.errors import InvalidType, InvalidValue
from manypaths.models import MlpCritic, MlpGenerator
from manypaths.oracles import Consensus
from manypaths.oracles.jacobian import mean_products
from manypaths.sources import GanSample
from manypaths.testing.audit.subject import Subject

STEPS = 20


def game(norm: bool = False) -> Adversarial:
    torch.manual_seed(3)
    generator = MlpGenerator(latent=3, hidden=(8,)).double()
    if norm:
        generator.layers.insert(1, nn.BatchNorm1d(8, dtype=torch.float64))
    critic = MlpCritic(hidden=(8,)).double()
    return Adversarial(generator, critic, objective=NonSaturating(), penalties=[Dragan(std=0.5)])


def source() -> PairedSource:
    data = torch.randn(30, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return PairedSource(data, latent=3, seed=5)


def trained(played, name: str) -> list[torch.Tensor]:
    oracle, rule, base = {
        "svre": lambda: (SVRG(source(), batch=7, schedule="svre", every=4, seed=5), Extragradient(), torch.optim.SGD),
        "stored": lambda: (
            SVRG(source(), batch=7, schedule="svre", every=4, seed=5, store="game"),
            Extragradient(),
            torch.optim.SGD,
        ),
        "batch": lambda: (FullBatch(source(), chunk=8), Extragradient(), torch.optim.SGD),
        "adam": lambda: (Stochastic(source(), batch=5), Alternating(("critic", "generator")), torch.optim.Adam),
        "one": lambda: (Stochastic(source(), batch=1), Extragradient(), torch.optim.SGD),
    }[name]()
    optimizers = {player: base(played.parameters(player), lr=0.05) for player in played.players}
    averages = UniformAverage(restart=0.5) if name in ("svre", "stored") else UniformAverage()
    training = Training(played, oracle, rule, optimizers, averages=averages, seed=5)
    for _ in range(STEPS):
        info = training.step()
    found = [p.detach() for player in played.players for p in played.parameters(player)]
    spent = torch.tensor([float(sum(oracle.evaluations.values()))], dtype=torch.float64)
    return [*found, spent, torch.stack([loss.double() for loss in info.losses.values()])]


NAMES = ("svre", "stored", "batch", "adam", "one")


class Heads(nn.Module):
    """Two heads, each for one sign of the first coordinate and skipped where no sample has it, and one unused."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.heads = nn.ModuleList([nn.Linear(2, 1, dtype=torch.float64) for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        signs = [(head, (x[:, 0] > 0) == bool(k)) for k, head in enumerate(self.heads[:2])]
        return torch.cat([head(x[chosen]).flatten() for head, chosen in signs if chosen.any()])


def sorted_by_head() -> tuple[Game, GanSample]:
    """Six samples of the first head, then four of the second."""
    x = torch.tensor([[float(i - 6 + (i > 5)), float(i)] for i in range(10)], dtype=torch.float64)
    played = FromLosses({"a": lambda sample, a: (a(sample.real) - 1).square().mean()}, {"a": Heads()})
    return played, GanSample(x, x, torch.arange(10))


def _work(rank: int, address: str, path: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    results = {name: trained(Distributed(game()), name) for name in NAMES}
    normalised = Distributed(game(norm=True))
    sample = source().take(torch.arange(10))
    results["mean"] = [p for name, p in sorted(_flat(normalised.gradients(sample, moves_buffers=True)).items())]
    results["buffers"] = [b.clone() for b in normalised.buffers()]
    heads, sample = sorted_by_head()
    results["heads"] = Distributed(heads).gradients(sample)["a"]
    results["products"] = mean_products(Distributed(heads), [sample], None, forward=False).transposed["a"]
    results["refused"] = _refusals(rank)
    torch.save(results, f"{path}/{rank}.pt")
    dist.destroy_process_group()


def _refusals(rank: int) -> list[str]:
    """What is said where the processes hold different things."""
    apart, statistics, drawn = game(), game(norm=True), Distributed(game())
    with torch.no_grad():
        apart.parameters("generator")[0].add_(1e-12 * rank)
        next(iter(statistics.generator.buffers())).add_(rank)
    shard = PairedSource(source().real + rank, latent=3, seed=5)
    attempts = [
        lambda: Distributed(apart),
        lambda: Distributed(statistics),
        lambda: drawn.gradients(shard.take(torch.arange(10))),
    ]
    said = []
    for attempt in attempts:
        with pytest.raises(InvalidValue) as caught:
            attempt()
        said.append(str(caught.value))
    return said


def _flat(gradients) -> dict[str, torch.Tensor]:
    return {name: torch.cat([t.reshape(-1) for t in gradients[name]]) for name in gradients}


@pytest.fixture(scope="module")
def two(on_processes):
    return on_processes(_work, 2)


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_take_the_steps_of_one(two, name) -> None:
    alone = trained(game(), name)
    for rank in range(2):
        for mine, theirs in zip(alone, two[rank][name], strict=True):
            assert torch.allclose(mine, theirs, rtol=0.0, atol=1e-10)
    for first, second in zip(two[0][name], two[1][name], strict=True):
        assert torch.equal(first, second), "the processes stay together bit for bit"


def test_under_batch_norm_each_process_normalises_its_own_share(two) -> None:
    played, sample = game(norm=True), source().take(torch.arange(10))
    halves = []
    for part in (sample[:5], sample[5:]):
        alone = copy.deepcopy(played)
        halves.append((_flat(alone.gradients(part, moves_buffers=True)), alone.buffers()))
    for rank in range(2):
        expected = [(halves[0][0][name] + halves[1][0][name]) / 2 for name in sorted(halves[0][0])]
        for mine, theirs in zip(expected, two[rank]["mean"], strict=True):
            assert torch.allclose(mine, theirs, rtol=0.0, atol=1e-14)
        for a, b, found in zip(halves[0][1], halves[1][1], two[rank]["buffers"], strict=True):
            assert torch.allclose((a + b) / 2 if a.is_floating_point() else a, found, rtol=0.0, atol=1e-14)


def test_a_weight_that_one_share_does_not_use_keeps_its_own_gradient(two) -> None:
    alone, sample = sorted_by_head()
    assert [g is None for g in alone.gradients(sample[:5])["a"]] == [False, False, True, True, True, True]
    expected = alone.gradients(sample)["a"]
    for rank in range(2):
        found = two[rank]["heads"]
        assert [g is None for g in found] == [g is None for g in expected] == [False] * 4 + [True] * 2
        for mine, theirs in zip(expected[:4], found[:4], strict=True):
            assert torch.allclose(mine, theirs, rtol=0.0, atol=1e-14)


def test_joined_products_of_weights_that_one_share_does_not_use(two) -> None:
    alone, sample = sorted_by_head()
    expected = mean_products(alone, [sample], None, forward=False).transposed["a"]
    for rank in range(2):
        found = two[rank]["products"]
        assert [g is None for g in found] == [g is None for g in expected] == [False] * 4 + [True] * 2
        for mine, theirs in zip(expected[:4], found[:4], strict=True):
            assert torch.allclose(mine, theirs, rtol=0.0, atol=1e-14)


def test_processes_that_hold_other_weights_or_draw_other_samples_are_refused(two) -> None:
    for rank in range(2):
        weights, statistics, samples = two[rank]["refused"]
        assert "the weights of 'generator' are others on process 1 than on process 0: expected equal ones" in weights
        assert statistics == weights
        assert "process 1 draws other samples than process 0: expected the whole data and the same seed" in samples


def test_wrapped_networks_are_refused(tmp_path) -> None:
    critic = MlpCritic(hidden=(8,)).double()
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        wrapped = nn.Sequential(nn.parallel.DistributedDataParallel(critic))
        said = r"critic is in DistributedDataParallel, whose hooks .* expected the network itself \(.module\), and"
        with pytest.raises(InvalidType, match=said):
            Adversarial(game().generator, wrapped, objective=NonSaturating())
        with pytest.raises(InvalidType, match=said):
            FromLosses({"critic": lambda sample, critic: critic(sample).sum()}, {"critic": wrapped})
        own = game()
        own.players = {**own.players, "critic": wrapped}
        optimizers = {name: torch.optim.SGD(own.parameters(name), lr=0.1) for name in own.players}
        with pytest.raises(InvalidType, match=said):
            Training(own, Stochastic(source()), Extragradient(), optimizers)
        with pytest.raises(InvalidType, match=said):
            Distributed(own)
    finally:
        dist.destroy_process_group()


def test_without_a_process_group() -> None:
    with pytest.raises(InvalidType, match="there is no process group: start with torchrun"):
        Distributed(game())


def test_what_is_refused_of_a_game_is_refused_of_a_distributed_one(tmp_path) -> None:
    played = game()
    played.critic.layers.insert(1, nn.LayerNorm(8, dtype=torch.float64))
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        shared = Distributed(played)
        with pytest.raises(InvalidType, match="Consensus takes third derivatives of LayerNorm .* under Dragan"):
            Consensus(Stochastic(source(), batch=4)).bind(shared)
        assert Subject(shared, None).gan is shared.unwrapped is played.unwrapped is played
    finally:
        dist.destroy_process_group()
