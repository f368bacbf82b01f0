"""A member of a population moves exactly as the same game alone."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from manypaths import (
    EMA,
    R1,
    SVRG,
    Adversarial,
    Alternating,
    Extragradient,
    FromLosses,
    FullBatch,
    Game,
    Lookahead,
    NonSaturating,
    Optimizers,
    PairedSource,
    PastExtragradient,
    Simultaneous,
    Stochastic,
    Training,
    UniformAverage,
)
from manypaths.analytic import Bilinear
from manypaths.errors import InputError
from manypaths.metrics.field_norm import member_field_norms
from manypaths.models import MlpCritic, MlpGenerator
from manypaths.oracles import AcceleratedSVRG
from manypaths.populations.members import groups
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.randomness import generator_for
from manypaths.sources import IndexSource
from manypaths.vectors import flat

MEMBERS = 4


def gan(seed: int, *, weight: float = 0.3, norm: bool = False) -> Adversarial:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator: nn.Module = MlpGenerator(latent=3, hidden=(8,))
        if norm:
            generator = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 2))
        critic = MlpCritic(hidden=(8,))
    game = Adversarial(generator, critic, objective=NonSaturating(), penalties=(R1(weight=weight),))
    for module in game.players.values():
        module.double()
    return game


def data(seed: int) -> PairedSource:
    real = torch.randn(24, 2, generator=generator_for(seed, "data"), dtype=torch.float64)
    return PairedSource(real, latent=3, seed=seed)


RULES = {
    "extragradient": Extragradient,
    "simultaneous": Simultaneous,
    "5:1": lambda: Alternating(("critic",) * 3 + ("generator",)),
}
ORACLES = {
    "stochastic": lambda source, seed: Stochastic(source, batch=6),
    "full": lambda source, seed: FullBatch(source, batch=6),
    "svrg-geometric": lambda source, seed: SVRG(source, batch=6, schedule="geometric", every=5, seed=seed),
    "svrg-loopless": lambda source, seed: SVRG(source, batch=6, schedule="loopless", every=5, seed=seed),
    "accelerated": lambda source, seed: AcceleratedSVRG(
        SVRG(source, batch=6, schedule="svre", every=5, seed=seed), tau=0.5, stage=2
    ),
    "svrg-svre": lambda source, seed: SVRG(source, batch=6, schedule="svre", every=5, seed=seed),
}


def train(game, oracle, rule, *, seed=0, steps=25, lr=2e-2, base=torch.optim.Adam, **options) -> Training:
    optimizers = Optimizers({n: base(game.parameters(n), lr=lr) for n in game.players}, **options)
    averages = {"ema": EMA(decay=0.9)}
    if oracle.takes_snapshots:
        averages["uniform"] = UniformAverage(restart=0.4)
    training = Training(game, oracle, rule, optimizers, averages=averages, seed=seed)
    for _ in range(steps):
        training.step()
    return training


def alone_and_together(make_game, rule: str, oracle: str, **options):
    stacked = ORACLES[oracle](PopulationSource.of(data, MEMBERS), 0)
    together = train(Population.of(make_game, MEMBERS, chunk=2), stacked, RULES[rule](), **options)
    alone = [train(make_game(i), ORACLES[oracle](data(i), i), RULES[rule](), seed=i, **options) for i in range(MEMBERS)]
    return together, alone


def difference(together: Training, i: int, alone: Training) -> float:
    with together.game.member(i) as member:
        return float((flat(member.point()) - flat(alone.game.point())).abs().max())


PAIRS = [
    *(("extragradient", oracle) for oracle in ORACLES),
    ("simultaneous", "svrg-loopless"),
    ("5:1", "svrg-loopless"),
]


@pytest.mark.parametrize(("rule", "oracle"), PAIRS)
def test_a_member_moves_as_it_would_alone(rule, oracle) -> None:
    together, alone = alone_and_together(gan, rule, oracle, clip=0.5)
    for i, training in enumerate(alone):
        assert difference(together, i, training) < 1e-10
        for name, average in training.averages.items():
            counts = torch.as_tensor(together.averages[name].count).expand(MEMBERS)
            assert int(counts[i]) == average.count, "restarts are per member"
            if not average.count:
                continue
            stacked = flat({"": [t[i] for ts in together.averages[name].point().values() for t in ts]})
            assert (stacked - flat(average.point())).abs().max() < 1e-10
        for player, count in training.oracle.evaluations.items():
            counts = torch.as_tensor(together.oracle.evaluations[player]).expand(MEMBERS)
            assert int(counts[i]) == count, "the cost of a member is that of the run alone"


def test_batchnorm_and_partitions() -> None:
    make = lambda seed: gan(seed, norm=True)  # noqa: E731
    together, alone = alone_and_together(make, "extragradient", "svrg-geometric", base=torch.optim.SGD)
    for i, training in enumerate(alone):
        assert difference(together, i, training) < 1e-10
        buffers = [b[i] for b in together.game.buffers()]
        assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(buffers, training.game.buffers(), strict=True))


def test_rates_and_weights_vary_inside_a_stack() -> None:
    rates, weights = torch.linspace(0.2, 1.0, MEMBERS).double(), torch.linspace(0.0, 2.0, MEMBERS).double()
    population = Population([gan(i) for i in range(MEMBERS)], vary={"penalties.0.weight": weights})
    source = PopulationSource.of(data, MEMBERS)
    by_player = dict.fromkeys(population.players, rates)
    together = train(population, Stochastic(source, batch=6), Extragradient(), rates=by_player)
    for i in range(MEMBERS):
        game = gan(i, weight=float(weights[i]))
        alone = train(game, Stochastic(data(i), batch=6), Extragradient(), lr=2e-2 * float(rates[i]))
        assert difference(together, i, alone) < 1e-10
    assert population.template.penalties[0].weight == 0.3, "the template's own number comes back"


def test_one_members_divergence_disturbs_no_other() -> None:
    population = Population.of(gan, MEMBERS)
    for name in population.players:
        for p in population.parameters(name):
            p.detach()[2] = torch.inf
    together = train(population, SVRG(PopulationSource.of(data, MEMBERS), batch=6, every=5), Extragradient(), clip=1.0)
    assert population.finite().tolist() == [True, True, False, True]
    assert together.non_finite(together.step()) is None
    alone = train(gan(3), SVRG(data(3), batch=6, every=5, seed=3), Extragradient(), seed=3, clip=1.0, steps=26)
    assert difference(together, 3, alone) < 1e-10


def test_resumed_equals_uninterrupted() -> None:
    def start():
        oracle = ORACLES["svrg-geometric"](PopulationSource.of(data, MEMBERS), 0)
        return train(Population.of(gan, MEMBERS), oracle, Extragradient(), steps=0)

    first, second = start(), start()
    for _ in range(7):
        first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for training in (first, second):
        for _ in range(9):
            training.step()
    assert torch.equal(flat(first.game.point()), flat(second.game.point()))


class Scales(nn.Module):
    """A running scale that the forward pass assigns anew instead of writing into it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 1)
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def forward(self, data):
        self.scale = 0.9 * self.scale + 0.1 * data.detach().square().mean()
        return (self.linear(data) / self.scale).flatten()


@pytest.mark.parametrize("chunk", [MEMBERS, 3])
def test_buffers_that_a_forward_pass_assigns_anew_move_as_alone(chunk) -> None:
    def make(seed: int) -> Adversarial:
        game = gan(seed)
        torch.manual_seed(seed)
        return Adversarial(game.generator, Scales().double(), objective=NonSaturating(), couples_samples=True)

    oracle = lambda source: Stochastic(source, batch=6)  # noqa: E731
    together = train(
        Population.of(make, MEMBERS, chunk=chunk), oracle(PopulationSource.of(data, MEMBERS)), Simultaneous()
    )
    for i in range(MEMBERS):
        alone = train(make(i), oracle(data(i)), Simultaneous())
        assert difference(together, i, alone) < 1e-10
        scale = together.game.players["critic"].get_buffer("scale")[i]
        assert float(scale) == pytest.approx(float(alone.game.critic.scale), abs=1e-12)
        assert abs(float(scale) - 1.0) > 1e-3


def test_two_trainings_loaded_from_one_state_share_no_memory() -> None:
    """Adam's moments, the snapshot, its centre, slow weights and averages: what one does, the other does not see."""

    def start():
        oracle = AcceleratedSVRG(ORACLES["svrg-geometric"](PopulationSource.of(data, MEMBERS), 0), tau=0.1)
        rule = Lookahead(PastExtragradient(), k=3)
        return train(Population.of(gan, MEMBERS), oracle, rule, steps=0)

    first = start()
    for _ in range(7):
        first.step()
    state = copy.deepcopy(first.state_dict())
    kept, ends = copy.deepcopy(state), []
    for _ in range(2):
        training = start()
        training.load_state_dict(state)
        for _ in range(9):
            training.step()
        ends.append(flat(training.game.point()))
        assert tensors_of(state) == tensors_of(kept)
    assert torch.equal(*ends)


def tensors_of(state) -> list:
    if isinstance(state, torch.Tensor):
        return state.tolist()
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ()
    return [tensors_of(part) for part in parts]


def test_analytic_games() -> None:
    def make(seed: int) -> Bilinear:
        game = Bilinear.coordinatewise(6)
        start = torch.randn(12, generator=generator_for(seed, "start"), dtype=torch.float64)
        game.move_to({"x": [start[:6]], "y": [start[6:]]})
        return game

    population = Population.of(make, MEMBERS)
    source = PopulationSource.of(lambda seed: IndexSource(6, seed=seed), MEMBERS)
    oracle = SVRG(source, batch=1, schedule="svre", every=4)
    optimizers = {n: torch.optim.SGD(population.parameters(n), lr=0.3) for n in population.players}
    together = Training(population, oracle, Extragradient(), optimizers, averages=UniformAverage(restart=0.1))
    for _ in range(50):
        together.step()
    for i in range(MEMBERS):
        game = make(i)
        oracle = SVRG(IndexSource(6, seed=i), batch=1, schedule="svre", every=4, seed=i)
        optimizers = {n: torch.optim.SGD(game.parameters(n), lr=0.3) for n in game.players}
        alone = Training(game, oracle, Extragradient(), optimizers, averages=UniformAverage(restart=0.1), seed=i)
        for _ in range(50):
            alone.step()
        assert difference(together, i, alone) < 1e-10


def test_autocast_reaches_no_backward_pass() -> None:
    """What a loss computes in float32 inside autocast is differentiated in float32, alone and in a stack."""

    def squared(sample, *, player: nn.Linear) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return (player.weight @ player.weight).square().sum()

    games = [FromLosses({"player": squared}, {"player": nn.Linear(5, 5, bias=False)}) for _ in range(2)]
    stacked, samples = Population(games), PopulationSource.of(lambda seed: IndexSource(3, seed=seed), 2)
    for game, sample in ((games[0], IndexSource(3).sample(2)), (stacked, samples.sample(2))):
        plain = flat(game.gradients(sample))
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(flat(game.gradients(sample)), plain)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match=r"member 1 has another generator than member 0: .*groups\(games\) tells"):
        Population([gan(0), gan(1, norm=True)])
    with pytest.raises(InputError, match=r"member 1 has another penalties than member 0"):
        Population([gan(0), gan(1, weight=0.5)])
    with pytest.raises(InputError, match=r"member 1 has another offsets than member 0"):
        Population.of(lambda seed: Bilinear.coordinatewise(4, seed=seed), 2)
    with pytest.raises(InputError, match=r"the game has no 'penalties.1.weight'"):
        Population([gan(0)], vary={"penalties.1.weight": torch.ones(1)})
    with pytest.raises(InputError, match=r"has 2 entries: expected one for each of the 1 members"):
        Population([gan(0)], vary={"penalties.0.weight": torch.ones(2)})
    game = gan(0)
    with pytest.raises(InputError, match="one game has one learning rate"):
        train(game, Stochastic(data(0)), Simultaneous(), rates={"critic": torch.ones(3)}, steps=0)
    population = Population.of(gan, 3)
    with pytest.raises(InputError, match="measured for one run at a time"):
        train(population, SVRG(PopulationSource.of(data, 3), batch=6, when="helps"), Simultaneous(), steps=0)
    with pytest.raises(InputError, match="schedule is 'adaptive', which is measured for one run at a time"):
        train(population, SVRG(PopulationSource.of(data, 3), batch=6, schedule="adaptive"), Simultaneous(), steps=0)
    dropout = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    noisy = Population([Adversarial(dropout, MlpCritic(), objective=NonSaturating())])
    source = PopulationSource([PairedSource(torch.randn(8, 2), latent=3)])
    with pytest.raises(InputError, match="members of a population cannot"):
        noisy.gradients(source.sample(4))


class Scaled(nn.Module):
    def __init__(self, scale: float = 1.0, frozen: bool = False):
        super().__init__()
        self.layer, self.scale = nn.Linear(2, 1), scale
        self.layer.bias.requires_grad_(not frozen)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.layer(x)


def from_losses(module: nn.Module, factor: float = 1.0, *, default: float = 1.0, through: bool = False) -> Game:
    """One player that squares its output, with a captured number, a default, and the module captured or given."""
    inner = lambda s, a, default=default: factor * default * (module if through else a)(s.real).square().mean()  # noqa: E731
    return FromLosses({"a": lambda s, a: inner(s, a)}, {"a": module})


def test_constants_frozen_weights_and_losses_keep_members_apart() -> None:
    def said(games: list[Game]) -> str:
        with pytest.raises(InputError, match="member 1 has .* than member 0") as error:
            Population(games)
        return str(error.value).partition(" than ")[0].removeprefix("member 1 has ")

    assert said([from_losses(Scaled()), from_losses(Scaled(frozen=True))]) == "another a"
    nested = [from_losses(nn.Sequential(Scaled(scale))) for scale in (1.0, 2.0)]
    assert said(nested) == "another a.0.scale"
    assert said([from_losses(Scaled()), from_losses(Scaled().eval())]) == "another a.training"
    assert said([from_losses(Scaled()), from_losses(Scaled(), 2.0)]) == "another loss of a"
    assert said([from_losses(Scaled()), from_losses(Scaled(), default=2.0)]) == "another loss of a"
    other = FromLosses({"a": lambda s, a: a(s.real).mean()}, {"a": Scaled()})
    assert said([from_losses(Scaled()), other]) == "another loss of a"
    more = FromLosses({n: lambda s, **_: 0 for n in "ab"}, {n: Scaled() for n in "ab"})
    assert said([from_losses(Scaled()), more]) == "other players"


@pytest.mark.parametrize("through", [False, True])
def test_a_stack_from_losses_gives_each_member_its_own_gradient(through: bool) -> None:
    games = [from_losses(Scaled(2.0).double(), 3.0, through=through) for _ in range(3)]
    sample = PopulationSource.of(data, 3).sample(4)
    stacked = Population(games).gradients(sample)["a"]
    for i, game in enumerate(games):
        alone = game.gradients(data(i).sample(4))["a"]
        for row, own in zip(stacked, alone, strict=True):
            assert torch.allclose(row[i], own, rtol=0.0, atol=1e-14)


def test_members_whose_weights_are_single_numbers() -> None:
    def game(start: float) -> Game:
        a = nn.ParameterDict({"w": nn.Parameter(torch.tensor(start, dtype=torch.float64))})
        return FromLosses({"a": lambda s, a: a["w"].square() / 2}, {"a": a})

    population = Population([game(start) for start in (0.5, 4.0, float("inf"))])
    assert population.finite().tolist() == [True, True, False]
    sample = PopulationSource.of(data, 3).sample(2)
    assert torch.equal(member_field_norms(population, sample)[:2], torch.tensor([0.5, 4.0], dtype=torch.float64))
    optimizers = Optimizers({"a": torch.optim.SGD(population.parameters("a"), lr=1.0)}, clip=1.0)
    optimizers.apply(population, population.gradients(sample))
    (moved,) = population.parameters("a")
    assert torch.allclose(moved[:2], torch.tensor([0.0, 3.0], dtype=torch.float64), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("norm", [parametrizations.spectral_norm, nn.utils.spectral_norm], ids=["current", "hook"])
def test_spectral_norm_is_refused_at_construction(norm) -> None:
    inner, whole = gan(0), gan(1)
    norm(inner.critic.layers[2])
    with pytest.raises(InputError, match=r"^critic\.layers\.2 has spectral norm, .*expected networks without it, or a"):
        Population([inner])
    bare = Adversarial(norm(nn.Linear(3, 2)), whole.critic, objective=NonSaturating())
    with pytest.raises(InputError, match=r"^generator has spectral norm, whose power iteration torch cannot run for"):
        Population([bare])


def test_groups_hold_what_one_stack_can() -> None:
    games = [gan(0), gan(1, norm=True), gan(2), gan(3, weight=0.5), gan(4, norm=True), Bilinear.coordinatewise(4)]
    assert groups(games) == [[0, 2], [1, 4], [3], [5]]
    for group in groups(games):
        Population([games[i] for i in group])
