"""Several optimisers of one player, Muon, and optimisers that cannot take part."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.adversarial import Adversarial
from manypaths.games.from_losses import FromLosses
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.base import Optimizers
from manypaths.optim.composite import Composite
from manypaths.optim.muon import MuonAdamW
from manypaths.optim.vradam import VRAd
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.saga import SAGA
from manypaths.oracles.stochastic import Stochastic
from manypaths.penalties.weight_clipping import WeightClipping
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.schedules.linear import Linear
from manypaths.sources.base import IndexSource
from manypaths.sources.paired import PairedSource
from manypaths.training import Training
from manypaths.vectors import flat


def gan() -> Adversarial:
    torch.manual_seed(0)
    networks = MlpGenerator(latent=4, hidden=(8,)), MlpCritic(hidden=(8,))
    return Adversarial(*networks, objective=NonSaturating())


def source(seed: int = 0) -> PairedSource:
    return PairedSource(torch.randn(32, 2, generator=torch.Generator().manual_seed(1)), latent=4, seed=seed)


def by_shape(game, matrices, others) -> dict:
    found = {}
    for name in game.players:
        weights = game.parameters(name)
        found[name] = [matrices([p for p in weights if p.ndim == 2]), others([p for p in weights if p.ndim != 2])]
    return found


def muon_and_adamw(game) -> dict:
    muon = lambda weights: torch.optim.Muon(weights, lr=0.02)  # noqa: E731
    return by_shape(game, muon, lambda weights: AdamW(weights, lr=1e-2))


def test_each_weight_takes_the_step_of_its_own_optimiser() -> None:
    game, oracle = gan(), Stochastic(source(), batch=8)
    optimizers = by_shape(game, lambda w: SGD(w, lr=0.5), lambda w: SGD(w, lr=0.25))
    training = Training(game, oracle, Simultaneous(), optimizers)
    with oracle.source.rewound():
        field = game.gradients(oracle.source.sample(8))
    before = game.point()
    training.step()
    for name in game.players:
        for old, g, new in zip(before[name], field[name], game.parameters(name), strict=True):
            assert torch.equal(new, old - (0.5 if old.ndim == 2 else 0.25) * g)


@pytest.mark.parametrize("moments", ["shared", "rewind", "separate"])
def test_muon_beside_adamw_goes_on_from_a_state_bit_for_bit(moments) -> None:
    def start() -> Training:
        game = gan()
        return Training(game, Stochastic(source(), batch=8), Extragradient(moments=moments), muon_and_adamw(game))

    whole, first, second = start(), start(), start()
    for _ in range(4):
        whole.step()
    for _ in range(2):
        first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    twin = copy.deepcopy(first)
    for _ in range(2):
        second.step()
        twin.step()
    assert torch.equal(flat(whole.game.point()), flat(second.game.point()))
    assert torch.equal(flat(whole.game.point()), flat(twin.game.point()))


def test_muon_by_its_name_orthogonalises_matrices_and_leaves_the_others_to_adamw() -> None:
    game, twin = gan(), gan()
    ours = Training(game, Stochastic(source(), batch=8), Simultaneous(), optimizers={
        name: MuonAdamW(game.parameters(name), lr=1e-2) for name in game.players
    })  # fmt: skip
    muon = lambda w: torch.optim.Muon(w, lr=1e-2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")  # noqa: E731
    theirs = Training(twin, Stochastic(source(), batch=8), Simultaneous(), by_shape(
        twin, muon, lambda w: AdamW(w, lr=1e-2, weight_decay=0.0)
    ))  # fmt: skip
    for _ in range(3):
        ours.step(), theirs.step()
    assert torch.equal(flat(game.point()), flat(twin.point()))
    with pytest.raises(InvalidValue, match="no weight has two dimensions, which Muon is for: expected 'adamw'"):
        MuonAdamW([nn.Parameter(torch.zeros(3))])


def test_schedules_reach_every_part() -> None:
    game = gan()
    optimizers = by_shape(game, lambda w: SGD(w, lr=0.5), lambda w: SGD(w, lr=0.5))
    schedules = {"optimizers.critic.lr": Linear(to=0.1, over=2)}
    training = Training(game, Stochastic(source(), batch=8), Simultaneous(), optimizers, schedules=schedules)
    for _ in range(4):
        training.step()
    critic = training.optimizers["critic"]
    assert isinstance(critic, Composite)
    assert [group["lr"] for part in critic.parts for group in part.param_groups] == pytest.approx([0.1, 0.1])
    theirs = Optimizers(by_shape(game, lambda w: SGD(w, lr=0.5), lambda w: SGD(w, lr=0.2)))
    message = "optimizers.critic.lr has another value in each parameter group"
    with pytest.raises(InvalidValue, match=message):
        Training(game, Stochastic(source(), batch=8), Simultaneous(), theirs, schedules=schedules)
    halving = torch.optim.lr_scheduler.StepLR(theirs["critic"], step_size=1, gamma=0.5)
    both = Optimizers({n: theirs[n] for n in theirs}, schedules={"critic": halving})
    Training(game, Stochastic(source(), batch=8), Simultaneous(), both).step()
    assert [group["lr"] for group in theirs["critic"].param_groups] == [0.25, 0.1]


def test_faults_of_composites_are_said_in_words() -> None:
    game = gan()
    weights = game.parameters("critic")
    generator = SGD(game.parameters("generator"), lr=0.1)
    with pytest.raises(InvalidValue, match="SGD, Adam share a parameter, which would move twice"):
        Optimizers({"critic": [SGD(weights, lr=0.1), Adam(weights[:1])]})
    with pytest.raises(InvalidValue, match="there are no optimisers: expected at least one"):
        Optimizers({"critic": []})
    with pytest.raises(InvalidType, match="a part of the optimiser is 3: expected a torch.optim.Optimizer"):
        Optimizers({"critic": [3]})
    some = Optimizers({"critic": [SGD(weights[:1], lr=0.1)], "generator": generator})
    with pytest.raises(InvalidValue, match="lacks some of its parameters.* or a list of optimisers that have all of"):
        Training(game, Stochastic(source(), batch=8), Simultaneous(), some)
    composite = Composite([SGD(weights[:1], lr=0.1)])
    with pytest.raises(InvalidValue, match="expected them added to one part"):
        composite.add_param_group({"params": weights[1:]})
    with pytest.raises(InvalidValue, match="the saved state is of 0 optimisers: expected 1"):
        composite.load_state_dict({})


def test_muon_in_a_population_would_mix_its_members() -> None:
    games = [gan() for _ in range(2)]
    population = Population(games)
    optimizers = {n: MuonAdamW(population.parameters(n)) for n in population.players}
    members = PopulationSource([source(seed) for seed in range(2)])
    with pytest.raises(InvalidType, match="is Muon, whose step mixes the entries of a weight"):
        Training(population, Stochastic(members, batch=8), Simultaneous(), optimizers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (torch.optim.SparseAdam, "'critic' is SparseAdam, which takes sparse gradients alone.*: expected Adam"),
        (torch.optim.LBFGS, r"'critic' is LBFGS, whose step evaluates losses itself \(a closure\)"),
        (lambda w: SGD(w, lr=math.inf), "lr of the SGD of 'critic' is inf: expected a finite number"),
        (lambda w: SGD(w, lr=math.nan, momentum=0.9), "lr of the SGD of 'critic' is nan: expected a finite number"),
        (lambda w: Adam(w, lr=torch.tensor(math.inf)), "lr of the Adam of 'critic' is inf: expected a finite number"),
        (lambda w: Adam(w, eps=math.inf), "eps of the Adam of 'critic' is inf: expected a finite number"),
        (lambda w: [SGD(w[:1], lr=0.1), SGD(w[1:], lr=math.inf)], "lr of the SGD of 'critic' is inf"),
    ],
)
def test_optimisers_that_cannot_take_part_are_refused_before_the_first_step(make, message) -> None:
    game = gan()
    with pytest.raises((InvalidType, InvalidValue), match=message):
        Optimizers({"critic": make(game.parameters("critic"))})


@pytest.mark.parametrize("clip", [math.inf, math.nan, 0.0])
def test_a_clip_that_clips_nothing_is_refused(clip) -> None:
    with pytest.raises(InvalidValue, match="expected a finite number > 0, or none"):
        Optimizers({}, clip=clip)


def test_sparse_gradients_become_dense() -> None:
    class Embedded(nn.Module):
        def __init__(self, sparse: bool):
            super().__init__()
            torch.manual_seed(0)
            self.rows, self.layer = nn.Embedding(5, 4, sparse=sparse), nn.Linear(4, 2)

        def forward(self, latent):
            return self.layer(latent + self.rows(torch.arange(len(latent)) % 5))

    points = []
    for sparse in (True, False):
        torch.manual_seed(0)
        game = Adversarial(Embedded(sparse), MlpCritic(hidden=(4,)), objective=NonSaturating())
        optimizers = {n: Adam(game.parameters(n), lr=0.1) for n in game.players}
        training = Training(game, Stochastic(source(), batch=8), Extragradient(), optimizers)
        training.step(), training.step()
        points.append(flat(game.point()))
    assert torch.equal(*points)


class Turned(nn.Module):
    """One complex and one real weight."""

    def __init__(self):
        super().__init__()
        self.z, self.r = nn.Parameter(torch.tensor([0.5 + 0.25j])), nn.Parameter(torch.tensor([0.5]))


def complex_game() -> tuple[FromLosses, torch.Tensor]:
    """Component function i of x is |z - c_i|^2 + (r - i)^2: its gradient in z is 2 (z - c_i)."""
    centres = torch.complex(torch.arange(4.0), torch.arange(4.0) * -2)
    loss = lambda s, x: ((x.z - centres[s.index]).abs().square() + (x.r - s.index).square()).mean()  # noqa: E731
    return FromLosses({"x": loss}, {"x": Turned()}), centres


def test_the_table_of_saga_keeps_imaginary_parts() -> None:
    game, centres = complex_game()
    oracle = SAGA(IndexSource(4), batch=1)
    training = Training(game, oracle, Simultaneous(), {"x": SGD(game.parameters("x"), lr=0.05)})
    for _ in range(5):
        training.step()
    full = FullBatch(IndexSource(4), batch=4)
    full.bind(game)
    mean = full(game, full.draw())["x"]
    estimates = [(p, oracle(game, sample)["x"]) for p, sample in oracle.outcomes()]
    for k, exact in enumerate(mean):
        assert (sum(p * e[k] for p, e in estimates) - exact).abs().max() < 1e-6
    z = game.players["x"].z.detach()
    assert (mean[0] - 2 * (z - centres.mean())).abs().max() < 1e-6
    saved = copy.deepcopy(training.state_dict())
    training.step()
    after = flat({"x": [torch.view_as_real(p.detach()) if p.is_complex() else p for p in game.parameters("x")]})
    training.load_state_dict(saved)
    training.step()
    again = flat({"x": [torch.view_as_real(p.detach()) if p.is_complex() else p for p in game.parameters("x")]})
    assert torch.equal(after, again)


def test_what_loses_imaginary_parts_is_refused() -> None:
    game, _ = complex_game()
    with pytest.raises(InvalidValue, match="at 'bfloat16' would lose the imaginary parts of 'x': expected 'game'"):
        SAGA(IndexSource(4), batch=1, dtype="bfloat16").bind(game)
    with pytest.raises(InvalidType, match="VRAd has no step for complex weights"):
        VRAd(game.parameters("x"))
    with pytest.raises(InvalidType, match="WeightClipping has no interval for complex weights"):
        WeightClipping()(game.parameters("x"))
