"""Gradients that autograd shares, leaves out or draws noise for: each once gave silently wrong sums."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from manypaths.games.adversarial import Adversarial
from manypaths.games.base import Game
from manypaths.games.from_losses import FromLosses
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.optim.base import Optimizers
from manypaths.oracles.full_batch import FullBatch, full_gradient
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import Index, IndexSource
from manypaths.testing.conformance import check_pure, mean_error, small_gan, small_source
from manypaths.training import Training
from manypaths.vectors import flat

N = 10


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))


def game_of(loss) -> Game:
    return FromLosses({"p": loss}, {"p": Two()})


def shared(sample, p):
    return ((p.a + p.b - sample.index.double().mean()) ** 2).sum() / 2  # one gradient tensor for both


def either(sample, p):
    return sum((p.a if i < N // 2 else p.b).sum() * (i + 1.0) for i in sample.index.tolist()) / len(sample)


@pytest.mark.parametrize("loss", [shared, either])
def test_full_and_svrg_are_exact(loss) -> None:
    game = game_of(loss)
    expected = flat(game.gradients(Index(torch.arange(N))))
    full = FullBatch(IndexSource(N), chunk=3)
    full.bind(game)
    assert (flat(full(game, full.draw())) - expected).norm() < 1e-12
    oracle = SVRG(IndexSource(N), batch=2)
    oracle.bind(game)
    oracle.take_snapshot(game)
    game.move_to({"p": [w + 0.5 for w in game.point()["p"]]})
    estimates = [flat(oracle(game, Index(torch.tensor([i])))) for i in range(N)]
    moved = flat(game.gradients(Index(torch.arange(N))))
    assert (torch.stack(estimates).mean(0) - moved).norm() < 1e-12


def test_clipping_a_shared_gradient() -> None:
    game = game_of(shared)
    start = flat(game.point())
    optimizers = Optimizers({"p": torch.optim.SGD(game.parameters("p"), lr=1.0)}, clip=1.0)
    optimizers.apply(game, game.gradients(Index(torch.tensor([9]))))
    assert float((flat(game.point()) - start).norm()) == pytest.approx(1.0, rel=1e-5)


class Noisy(nn.Module):
    """A critic whose dropout is a function, not a module."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1).double()

    def forward(self, x):
        return self.linear(nn.functional.dropout(x, 0.4)).flatten()


def test_noise_of_any_kind_repeats_and_couples_the_samples() -> None:
    game, source = Adversarial(small_gan().generator, Noisy(), objective=NonSaturating()), small_source()
    check_pure(game, source.sample(8))
    assert not game.couples_samples
    oracle = SVRG(source, batch=8)
    assert "the samples of a batch are coupled" in oracle.bind(game)
    oracle.take_snapshot(game)
    game.move_to({n: [w + 0.1 for w in ws] for n, ws in game.point().items()})
    assert mean_error(game, oracle) < 1e-12
    before = torch.get_rng_state()
    game.gradients(source.sample(8))
    assert torch.equal(before, torch.get_rng_state())


def test_a_players_noise_does_not_depend_on_who_else_is_asked() -> None:
    weights = {name: nn.Linear(1, 1, bias=False, dtype=torch.float64) for name in "abc"}
    noisy = {name: lambda s, name=name, **players: (players[name].weight * torch.rand(())).sum() for name in "ab"}
    game = FromLosses({**noisy, "c": lambda s, a, b, c: c.weight.sum()}, weights)
    sample = Index(torch.arange(4))
    together = game.gradients(sample)
    assert float(together["a"][0]) == float(together["b"][0]) != 1.0
    for name in game.players:
        assert torch.equal(game.gradients(sample, (name,))[name][0], together[name][0])
    for names, drawn in ((("a", "c"), True), (("c", "a"), True), (("c",), False)):  # who draws last does not matter
        with game.repeating(sample) as drew:
            game.losses(sample, names)
            assert drew() is drawn


def test_svrg_is_exact_for_one_player_of_a_game_with_dropout() -> None:
    torch.manual_seed(0)
    nets = {n: nn.Sequential(nn.Linear(2, 4), nn.Dropout(), nn.Linear(4, 1)).double() for n in "ab"}
    game = FromLosses(
        {n: lambda s, a, b, k=k: k * (a(s.real) * b(s.real)).mean() for n, k in {"a": 1, "b": -1}.items()}, nets
    )
    oracle = SVRG(small_source(), batch=8)
    oracle.bind(game)
    oracle.take_snapshot(game)
    game.move_to({n: [w + 0.1 for w in ws] for n, ws in game.point().items()})
    exact, _ = full_gradient(game, (oracle.source.take(i) for i in oracle.source.partition(8)), equal=True)
    mean = sum(p * flat(oracle(game, sample, ("b",))) for p, sample in oracle.outcomes())
    assert torch.allclose(mean, flat(exact.only(("b",))), rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x, "text"), lambda x: [None, {"x": x}]])
def test_noise_is_a_function_of_plain_tensors_too(wrap) -> None:
    game = FromLosses({"a": lambda s, a: a.weight.sum() * torch.rand(())}, {"a": nn.Linear(1, 1, bias=False)})
    noise = lambda sample: float(game.gradients(sample)["a"][0])  # noqa: E731
    batches = [torch.full((2, 1), float(i)) for i in range(4)]
    assert len({noise(wrap(x)) for x in batches}) == 4
    assert noise(wrap(batches[1])) == noise(wrap(batches[1].clone())) == noise(batches[1])
    torch.manual_seed(0)
    assert noise(range(4)) == noise(wrap(None)) == float(torch.rand(())), "no tensor: seed 0"


def test_separate_moments_do_not_survive_loading() -> None:
    game = small_gan()
    optimizers = {n: torch.optim.Adam(game.parameters(n), lr=1e-2) for n in game.players}
    training = Training(game, Stochastic(small_source(), batch=8), Extragradient(moments="separate"), optimizers)
    state = copy.deepcopy(training.state_dict())
    ends = []
    for _ in range(2):
        training.load_state_dict(copy.deepcopy(state))
        for _ in range(3):
            training.step()
        ends.append(flat(game.point()))
    assert torch.equal(*ends)


def test_unlisted_buffers_are_saved() -> None:
    game = small_gan()
    game.critic.register_buffer("hidden", torch.zeros(1), persistent=False)
    state = copy.deepcopy(game.state_dict())
    game.critic.hidden += 3
    game.load_state_dict(state)
    assert float(game.critic.hidden) == 0.0


class Averaging(nn.Module):
    """Divides by a running mean, which it moves in place or assigns anew."""

    def __init__(self, scale: torch.Tensor, assigns: bool):
        super().__init__()
        self.layer, self.assigns = nn.Linear(2, 1, dtype=torch.float64), assigns
        self.register_buffer("scale", scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.layer(x)
        moved = 0.9 * self.scale + 0.1 * out.detach().abs().mean()
        if self.assigns:
            self.scale = moved
        else:
            self.scale.copy_(moved)
        return out / moved


@pytest.mark.parametrize("oracle", [Stochastic, SVRG])
def test_assigned_buffers_are_put_back_like_those_moved_in_place(oracle) -> None:
    found = []
    for assigns in (False, True):
        torch.manual_seed(0)
        a, b = (Averaging(torch.ones((), dtype=torch.float64), assigns) for _ in range(2))
        game = FromLosses(
            {"a": lambda s, a, b: (a(s.real) * b(s.real)).mean(), "b": lambda s, a, b: -(a(s.real) * b(s.real)).mean()},
            {"a": a, "b": b},
            couples_samples=True,
        )
        optimizers = {name: torch.optim.SGD(game.parameters(name), lr=0.1) for name in game.players}
        training = Training(game, oracle(small_source(), batch=8), Extragradient(), optimizers)
        for _ in range(5):
            training.step()
        found.append([*game.buffers(), *(p.detach() for name in game.players for p in game.parameters(name))])
    assert all(map(torch.equal, *found))


def test_a_buffer_that_two_players_share_is_one() -> None:
    scale = torch.ones((), dtype=torch.float64)
    game = FromLosses({n: lambda s, **_: 0 for n in "ab"}, {n: Averaging(scale, False) for n in "ab"})
    with game.unchanging():
        assert [b is scale for b in game.buffers()] == [True]


class Conditional(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.embed, self.linear = nn.Embedding(3, 4).double(), nn.Linear(inputs + 4, outputs).double()

    def forward(self, x, label):
        out = self.linear(torch.cat([x, self.embed(label)], 1))
        return out.flatten() if self.linear.out_features == 1 else out


def test_conditional_games_hand_the_labels_to_both_networks() -> None:
    from manypaths.errors import InvalidValue
    from manypaths.penalties.gradient_penalty import GradientPenalty
    from manypaths.sources.paired import PairedSource

    real = torch.randn(30, 2, dtype=torch.float64)
    nets = Conditional(4, 2), Conditional(2, 1)
    game = Adversarial(*nets, objective=NonSaturating(), penalties=[GradientPenalty()], conditional=True)
    source = PairedSource(real, torch.arange(30) % 3, latent=4)
    sample = source.sample(8)
    check_pure(game, sample)
    other = type(sample)(sample.real, sample.latent, sample.seed, (sample.label + 1) % 3)
    assert not torch.equal(flat(game.gradients(sample)), flat(game.gradients(other)))
    with pytest.raises(InvalidValue, match="its source has no labels"):
        game.gradients(PairedSource(real, latent=4).sample(8))


def test_settings_without_effect_are_refused() -> None:
    from manypaths.errors import InvalidType, InvalidValue
    from manypaths.rules.alternating import Alternating

    game = small_gan()
    optimizers = {n: torch.optim.SGD(game.parameters(n), lr=1e-2) for n in game.players}
    oracle = Stochastic(small_source(), batch=8)
    with pytest.raises(InvalidType, match="restarts at snapshots and Stochastic takes none"):
        Training(game, oracle, Simultaneous(), optimizers, averages=UniformAverage(restart=0.1))
    with pytest.raises(InvalidValue, match="unknown player 'discriminator'"):
        Training(game, oracle, Alternating(("discriminator", "generator")), optimizers)
    with pytest.raises(InvalidValue, match="generator would never move"):
        Training(game, oracle, Alternating(("critic",)), optimizers)
    with pytest.raises(InvalidType, match="expected one average, or a mapping"):
        Training(game, oracle, Simultaneous(), optimizers, averages=[UniformAverage()])
