"""What construction finds: data out of range, probabilities for logits, sizes that differ, numbers that are none."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn.functional import hardtanh
from torch.optim import SGD
from torch.utils.data import DataLoader, TensorDataset

from manypaths.errors import InvalidType, InvalidValue, LikelyMistake
from manypaths.games.adversarial import Adversarial
from manypaths.games.from_losses import FromLosses
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.models.mean_score import MeanScore
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.hinge import Hinge
from manypaths.objectives.least_squares import LeastSquares
from manypaths.objectives.minimax import Minimax
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.objectives.non_saturating_probabilities import NonSaturatingProbabilities
from manypaths.objectives.relativistic import RelativisticAverage, RelativisticPaired
from manypaths.objectives.wasserstein import Wasserstein
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.loader import LoaderSource
from manypaths.sources.paired import PairedSource
from manypaths.training import Training

BYTES = torch.randint(256, (64, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
UNIT, SYMMETRIC = BYTES / 255, BYTES / 127.5 - 1


class Ended(nn.Module):
    """A network with something at its end, in ``forward``, before a module that is registered after it."""

    def __init__(self, network, end):
        super().__init__()
        self.end, self.network = end, network

    def forward(self, x):
        return self.end(self.network(x))


def generator(end=torch.tanh, **options):
    return Ended(MlpGenerator(latent=4, shape=(1, 8, 8), hidden=(16,)), end)


def critic(end=lambda s: s):
    return Ended(MlpCritic(shape=(1, 8, 8), hidden=(16,)), end)


def gan(generator_=None, critic_=None, objective=None):
    return Adversarial(generator_ or generator(), critic_ or critic(), objective=objective or NonSaturating())


def train(game, source, batch=8, oracle=Stochastic):
    optimizers = {name: SGD(game.parameters(name), lr=1e-2) for name in game.players}
    return Training(game, oracle(source, batch=batch), Simultaneous(), optimizers)


def source(data, **options):
    return PairedSource.from_dataset(data, latent=4, **options)


BOUNDED = {
    "tanh": torch.tanh,
    "a tanh module": nn.Tanh(),
    "hardtanh": hardtanh,
    "clamp": lambda x: x.clamp(-1, 1),
    "a sine": lambda x: 2 * torch.sigmoid(x) - 1,
}


@pytest.mark.parametrize("end", BOUNDED)
@pytest.mark.parametrize(("data", "said"), [(UNIT, "lower half of it empty"), (BYTES.float(), "it cannot make them")])
def test_data_that_a_bounded_generator_does_not_match_are_said_at_construction(end, data, said) -> None:
    with pytest.warns(LikelyMistake, match=said) as found:
        training = train(gan(generator(BOUNDED[end])), source(data))
    assert len(found) == 1
    assert str(found[0].message) in training.notes


def test_data_beyond_a_sigmoid_or_a_relu_are_said() -> None:
    for end, bounds in ((torch.sigmoid, "0 to 1"), (torch.relu, "0 to infinity")):
        with pytest.warns(LikelyMistake, match=f"reach from -1 to 1 and the generator's outputs from {bounds}"):
            train(gan(generator(end)), source(SYMMETRIC))


def test_the_range_of_a_generator_in_losses_of_ones_own_and_in_a_population_is_compared() -> None:
    players = {"generator": generator(), "critic": critic()}
    losses = {
        "generator": lambda s, generator, critic: critic(generator(s.latent)).mean(),
        "critic": lambda s, generator, critic: critic(s.real).mean() - critic(generator(s.latent)).mean(),
    }
    with pytest.warns(LikelyMistake, match="it cannot make them"):
        train(FromLosses(losses, players), source(BYTES.float()))
    population = Population.of(lambda seed: gan(), 2)
    sources = PopulationSource.of(lambda seed: source(BYTES.float(), seed=seed), 2)
    with pytest.warns(LikelyMistake, match="it cannot make them"):
        train(population, sources)


@pytest.mark.parametrize(
    ("end", "data"),
    [
        (torch.tanh, SYMMETRIC),
        (torch.tanh, BYTES),
        (torch.tanh, BYTES // 2),
        (torch.tanh, 0.5 * SYMMETRIC),
        (torch.sigmoid, UNIT),
        (lambda x: x, BYTES.float()),
        (torch.relu, BYTES.float()),
        (lambda x: 3 * torch.tanh(x), SYMMETRIC),
    ],
)
def test_data_in_the_generators_range_are_not_remarked(end, data) -> None:
    train(gan(generator(end)), source(data))


def test_a_range_that_was_chosen_by_name_is_not_remarked() -> None:
    train(gan(), source(BYTES, pixels="unit"))


def test_uint8_of_zeros_and_ones_is_refused() -> None:
    with pytest.raises(InvalidValue, match="the data are uint8 and hold only 0 and 1, where 255 is white"):
        source(BYTES % 2)
    with pytest.raises(InvalidValue, match="the loader's images are uint8 and hold only 0 and 1"):
        LoaderSource(DataLoader(TensorDataset(BYTES % 2), batch_size=8, drop_last=True), latent=4).sample(8)


OBJECTIVES = [NonSaturating, NonSaturatingProbabilities, Minimax, Hinge, Wasserstein, RelativisticPaired]
OBJECTIVES += [RelativisticAverage]
SIGMOIDS = {
    "in forward": lambda: critic(torch.sigmoid),
    "a module": lambda: critic(nn.Sigmoid()),
    "a softmax": lambda: critic(lambda s: torch.stack([s, -s], 1).softmax(1)[:, 0]),
    "spectral norm": lambda: Ended(DcganCritic(size=8, width=4, norm="spectral"), torch.sigmoid),
    "patches": lambda: MeanScore(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3), nn.Sigmoid())),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_scores_that_are_probabilities_are_said_under_every_objective_of_logits(objective) -> None:
    with pytest.warns(LikelyMistake, match=f"scores stay between 0 and 1.* and {objective.__name__} expects logits"):
        train(gan(critic_=critic(torch.sigmoid), objective=objective()), source(SYMMETRIC))
    train(gan(objective=objective()), source(SYMMETRIC))


@pytest.mark.parametrize("kind", SIGMOIDS)
def test_a_sigmoid_is_found_wherever_it_stands(kind) -> None:
    with pytest.warns(LikelyMistake, match="scores stay between 0 and 1"):
        train(gan(critic_=SIGMOIDS[kind]()), source(SYMMETRIC))


def test_least_squares_scores_may_be_probabilities_where_the_labels_are() -> None:
    train(gan(critic_=critic(torch.sigmoid), objective=LeastSquares()), source(SYMMETRIC))
    with pytest.warns(LikelyMistake, match="scores stay between 0 and 1"):
        train(gan(critic_=critic(torch.sigmoid), objective=LeastSquares(-1.0, 1.0, 0.0)), source(SYMMETRIC))


def test_a_linear_head_whose_scores_begin_in_the_unit_interval_is_not_remarked() -> None:
    near = critic(lambda s: 0.5 + 1e-3 * s)
    zero = MlpCritic(shape=(1, 8, 8), hidden=(16,))
    nn.init.zeros_(list(zero.parameters())[-2])
    nn.init.constant_(list(zero.parameters())[-1], 0.5)
    begun = torch.cat([network(SYMMETRIC) for network in (near, zero)])
    assert bool(((begun > 0) & (begun < 1)).all())
    for network in (near, zero, DcganCritic(size=8, width=4), DcganCritic(size=8, width=4, norm="spectral")):
        train(gan(critic_=network), source(SYMMETRIC))


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3))).flatten()


def test_a_generator_of_another_size_under_a_critic_that_pools_is_refused_in_python_too() -> None:
    game = gan(DcganGenerator(size=14, latent=4, width=4), Pooled())
    with pytest.raises(InvalidValue, match=r"makes data of shape \(1, 14, 14\) and the data set's is \(1, 8, 8\)"):
        train(game, source(SYMMETRIC))
    with pytest.raises(InvalidType, match=r"the generator does not take latents of shape \(8, 5\)"):
        train(gan(), PairedSource(SYMMETRIC, latent=5))


def test_a_map_of_scores_is_averaged_by_its_name() -> None:
    patches = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3))
    with pytest.raises(InvalidValue, match=r"shape \(8, 1, 4, 4\).*average a map of scores by its name, MeanScore"):
        train(gan(critic_=patches), source(SYMMETRIC))
    critic_ = MeanScore(patches)
    train(gan(critic_=critic_), source(SYMMETRIC)).step()
    assert torch.allclose(critic_(SYMMETRIC), patches(SYMMETRIC).mean((1, 2, 3)))


def test_construction_leaves_weights_buffers_and_random_numbers_alone() -> None:
    game = gan(DcganGenerator(size=8, latent=4, width=4), DcganCritic(size=8, width=4))
    data = source(BYTES)
    before = {k: v.clone() for p in game.players.values() for k, v in p.state_dict().items()}
    state, drawn = torch.get_rng_state(), data.generator.get_state()
    training = train(game, data)
    after = {k: v for p in game.players.values() for k, v in p.state_dict().items()}
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(drawn, data.generator.get_state())
    assert len(training.notes) == 1


@pytest.mark.parametrize(("value", "said"), [(float("nan"), "NaN"), (float("inf"), "an infinite number")])
def test_data_that_are_no_numbers_are_refused_where_they_enter(value, said) -> None:
    from manypaths.sources.base import FunctionSource
    from manypaths.sources.gan_sample import GanSample

    bad = SYMMETRIC.clone()
    bad[17, 0, 3, 3] = value
    match = rf"hold {said} \(row 17\): expected finite numbers"
    with pytest.raises(InvalidValue, match=match):
        source(bad)
    with pytest.raises(InvalidValue, match=match):
        source(bad.double().numpy())
    feed = LoaderSource(DataLoader(TensorDataset(bad), batch_size=8, drop_last=True), latent=4)
    feed.sample(8), feed.sample(8)
    with pytest.raises(InvalidValue, match=rf"batch 2 hold {said} \(row 1\)"):
        feed.sample(8)
    draw = lambda n, g: GanSample(bad[17:18].expand(n, 1, 8, 8), torch.randn(n, 4), torch.arange(n))  # noqa: E731
    with pytest.raises(InvalidValue, match=f"the samples of FunctionSource hold {said}"):
        train(gan(), FunctionSource(draw))


def test_large_numbers_are_no_infinities() -> None:
    source(torch.full((4, 3), 3e38))
    source(torch.full((4, 3), 6e4, dtype=torch.float16))


def test_latents_are_fresh_unless_the_oracle_needs_a_finite_sum() -> None:
    data = source(SYMMETRIC[:16])
    training = train(gan(), data)
    seen = torch.cat([training.oracle.draw().latent for _ in range(32)])
    assert len(seen.unique(dim=0)) == 256
    assert training.notes == ["every batch has fresh latents (latents='auto'): the oracle needs no finite sum"]
    training = train(gan(), source(SYMMETRIC[:16]), oracle=SVRG)
    seen = torch.cat([training.oracle.source.sample(8).latent for _ in range(16)])
    assert len(seen.unique(dim=0)) <= 16
    assert training.notes == ["every datum has a latent of its own (latents='auto'): the oracle needs a finite sum"]


def test_frozen_latents_that_were_asked_for_are_said() -> None:
    (note,) = train(gan(), source(SYMMETRIC, latents="paired")).notes
    assert note.startswith("training sees 64 fixed latents, one per datum, for ever")
    assert train(gan(), source(SYMMETRIC, latents="fresh")).notes == []


def test_what_was_left_open_is_settled_anew_for_every_oracle_and_in_populations() -> None:
    data = source(SYMMETRIC)
    train(gan(), data)
    assert data.size is None
    train(gan(), data, oracle=SVRG)
    assert data.size == 64
    with data.rewound():
        train(gan(), data)
    assert data.size == 64
    members = PopulationSource.of(lambda seed: source(SYMMETRIC, seed=seed), 2)
    train(Population.of(lambda seed: gan(), 2), members)
    assert members.size is None
    assert members.sample(4).stacked["latent"].shape == (2, 4, 4)


def test_nothing_is_said_of_a_healthy_game() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(gan(DcganGenerator(size=8, latent=4, width=4), DcganCritic(size=8, width=4)), source(BYTES))
