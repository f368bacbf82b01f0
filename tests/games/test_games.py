"""Games: closed forms, purity, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manypaths.errors import InvalidValue
from manypaths.games.adversarial import Adversarial, scores
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.games.analytic.quadratic import Quadratic
from manypaths.games.base import Game
from manypaths.games.from_losses import FromLosses
from manypaths.objectives.minimax import Minimax
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.oracles.stochastic import Stochastic
from manypaths.penalties.r1 import R1
from manypaths.rules.extragradient import Extragradient
from manypaths.sources.base import Index
from manypaths.testing.conformance import check_pure, small_gan, small_source
from manypaths.training import Training
from manypaths.vectors import clone, flat


def test_quadratic_field_and_solution(finite_sum) -> None:
    game, source = finite_sum
    everything = Index(torch.arange(source.size))
    assert (flat(game.gradients(everything)) - game.field(game.joint())).norm() < 1e-13
    assert game.field(game.solution()).norm() < 1e-12


def test_bilinear_field_is_the_stated_one() -> None:
    n, d = 4, 3
    a, x_terms, y_terms = torch.randn(n, d, d), torch.randn(n, d), torch.randn(n, d)
    game = Bilinear(a, x_terms=x_terms, y_terms=y_terms)
    x, y = torch.randn(d), torch.randn(d)
    game.move_to({"x": [x], "y": [y]})
    gradients = game.gradients(Index(torch.tensor([2])))
    assert torch.allclose(gradients["x"][0], a[2] @ y + x_terms[2], atol=1e-6)
    assert torch.allclose(gradients["y"][0], -(a[2].T @ x + y_terms[2]), atol=1e-6)


def test_an_asymmetric_own_block_is_refused() -> None:
    with pytest.raises(InvalidValue, match="must be symmetric"):
        Quadratic(torch.tensor([[[1.0, 2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]]))


@pytest.mark.parametrize("objective", [Minimax(), NonSaturating()])
def test_shared_graph_equals_separate_passes_bit_for_bit(objective) -> None:
    game, sample = small_gan(objective=objective, penalties=[R1()]), small_source().sample(16)
    together = game.gradients(sample)
    for name in game.players:
        alone = game.gradients(sample, [name])
        assert torch.equal(flat({name: together[name]}), flat({name: alone[name]}))


def test_the_minimax_game_is_zero_sum_in_the_fakes() -> None:
    game, sample = small_gan(objective=Minimax()), small_source().sample(16)
    losses = game.losses(sample, ("critic", "generator"))
    real = torch.nn.functional.softplus(-scores(game.critic, sample.real)).mean()
    assert (losses["critic"] - real + losses["generator"]).abs() < 1e-15


def test_batchnorm_buffers_move_only_when_asked() -> None:
    critic = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Flatten(0)).double()
    game = Adversarial(small_gan().generator, critic, objective=NonSaturating())
    assert game.couples_samples
    sample = small_source().sample(8)
    check_pure(game, sample)
    game.gradients(sample, moves_buffers=True)
    assert int(critic[1].num_batches_tracked) == 2, "real and fake passes of one evaluation"


def test_at_restores_weights_and_buffers() -> None:
    game = small_gan()
    here, calls = game.point(), game.critic.calls.clone()
    there = {name: [w + 1 for w in weights] for name, weights in here.items()}
    with game.at(there):
        assert torch.equal(flat(game.point()), flat(there))
        game.gradients(small_source().sample(4), moves_buffers=True)
    assert torch.equal(flat(game.point()), flat(here))
    assert torch.equal(game.critic.calls, calls)


def addresses(game: Game) -> list[int]:
    return [p.data_ptr() for name in game.players for p in game.parameters(name)]


def test_at_may_borrow_tensors_of_the_same_kind_and_copies_others() -> None:
    game = small_gan()
    own, there = addresses(game), game.point()
    with game.at(there, borrow=True):
        assert addresses(game) == [t.data_ptr() for name in game.players for t in there[name]]
        with game.at(game.point(), borrow=True):
            assert not set(addresses(game)) & {*own, *(t.data_ptr() for name in there for t in there[name])}
    assert addresses(game) == own
    rounded = {name: [t.float() for t in tensors] for name, tensors in there.items()}
    with game.at(rounded, borrow=True):
        assert flat(game.point()).dtype == torch.float64
        assert torch.equal(flat(game.point()), flat(rounded).double())
    assert addresses(game) == own


def test_who_moves_the_weights_elsewhere_moves_no_point() -> None:
    game, there = small_gan(), small_gan().point()
    before = flat(clone(there))
    with game.at(there), torch.no_grad():
        for p in game.parameters("critic"):
            p.add_(1.0)
    assert torch.equal(flat(there), before)


def test_a_graph_from_another_point_is_not_differentiated() -> None:
    game, sample = small_gan(), small_source().sample(4)
    with game.at(game.point(), borrow=True):
        loss = game.losses(sample, ("critic",))["critic"]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(loss, game.parameters("critic"), allow_unused=True)


@pytest.mark.parametrize("borrow", [False, True])
def test_weights_come_back_from_a_point_that_does_not_fit_and_from_errors(borrow) -> None:
    game = small_gan()
    here = game.point()
    *_, last = game.players
    misfit = {**game.point(), last: [torch.zeros(7, 9)] * len(here[last])}
    with pytest.raises(RuntimeError, match="must match"), game.at(misfit, borrow=borrow):
        pass
    assert torch.equal(flat(game.point()), flat(here))
    there = {name: [w + 1 for w in weights] for name, weights in here.items()}
    with pytest.raises(ZeroDivisionError), game.at(there, borrow=borrow):
        raise ZeroDivisionError
    assert torch.equal(flat(game.point()), flat(here))
    with (
        pytest.raises(InvalidValue, match="unknown player 'critc': did you mean 'critic'"),
        game.at({"critc": []}, borrow=borrow),
    ):
        pass


@pytest.mark.parametrize("lends", [True, False])
def test_weights_that_moved_aside_come_back_in_their_storage_and_after_errors_too(lends, monkeypatch) -> None:
    game = small_gan()
    monkeypatch.setattr(game, "_swaps", lambda: lends)
    before, own = game.point(), addresses(game)
    count = len(game.parameters("generator"))

    def step_aside_and_fail() -> None:
        with game.swapped_aside(["generator"]) as start, torch.no_grad():
            moved = [p for p in game.parameters("generator") if p.data_ptr() not in own]
            assert len(moved) == (count if lends else 0), "it is a copy that moves"
            for p in game.parameters("generator"):
                p.add_(1.0)
            assert torch.equal(flat(start), flat({"generator": before["generator"]}))
            assert torch.equal(flat(game.point(["generator"])), flat(start) + 1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        step_aside_and_fail()
    assert addresses(game) == own
    assert torch.equal(flat(game.point()), flat(before))


def test_a_view_of_a_weight_follows_it_to_another_point() -> None:
    critic = nn.Linear(2, 1, bias=False)
    critic.register_buffer("first", critic.weight.detach()[0, :1], persistent=False)
    losses = {"critic": lambda sample, critic: (critic(sample) * critic.first).mean()}
    game = FromLosses(losses, {"critic": critic})
    with game.at({"critic": [torch.full((1, 2), 3.0)]}, borrow=True):
        assert critic.first.tolist() == [3.0]
    with game.swapped_aside(["critic"]), torch.no_grad():
        critic.weight.fill_(4.0)
        assert critic.first.tolist() == [4.0]


def _tied(linear: nn.Linear) -> torch.Tensor:
    linear.transposed = nn.Parameter(linear.weight.t())
    return linear.transposed


def _plain(linear: nn.Linear) -> torch.Tensor:
    linear.beside = linear.weight.detach()
    return linear.beside


@pytest.mark.parametrize("view", [_tied, _plain])
def test_whoever_shares_a_weights_memory_sees_it_move_aside(view) -> None:
    critic = nn.Linear(2, 3, bias=False)
    seen = view(critic)
    game = FromLosses({"critic": lambda sample, critic: critic(sample).mean()}, {"critic": critic})
    with game.swapped_aside(["critic"]), torch.no_grad():
        critic.weight.fill_(4.0)
        assert (seen == 4.0).all()
    assert (seen != 4.0).all()


def test_buffers_without_strides_forbid_nothing() -> None:
    critic = nn.Linear(2, 3, bias=False)
    critic.register_buffer("adjacent", torch.eye(3).to_sparse())
    game = FromLosses({"critic": lambda sample, critic: critic(sample).mean()}, {"critic": critic})
    with game.swapped_aside(["critic"]) as start:
        assert critic.weight.data_ptr() != start["critic"][0].data_ptr()


def test_a_game_from_losses_trains_and_its_own_noise_repeats() -> None:
    generator, critic = nn.Linear(4, 2).double(), nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)).double()

    def critic_loss(sample, generator, critic):
        eps = torch.rand(len(sample), 1, dtype=torch.float64)  # a user's own noise, from torch's global generator
        mixed = eps * sample.real + (1 - eps) * generator(sample.latent).detach()
        return critic(mixed).mean() - critic(sample.real).mean()

    def generator_loss(sample, generator, critic):
        return -critic(generator(sample.latent)).mean()

    players = {"critic": critic, "generator": generator}
    game = FromLosses({"critic": critic_loss, "generator": generator_loss}, players)
    check_pure(game, small_source().sample(8))
    optimizers = {n: torch.optim.Adam(game.parameters(n), lr=1e-3) for n in players}
    training = Training(game, Stochastic(small_source(), batch=8), Extragradient(), optimizers)
    before = game.point()
    training.step()
    assert not torch.equal(flat(before), flat(game.point()))


def test_faulty_losses_are_said_in_words() -> None:
    players = {"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)}
    with pytest.raises(InvalidValue, match=r"losses are for \['a'\] and players are \['a', 'b'\]"):
        FromLosses({"a": lambda s, a, b: a.weight.sum()}, players)
    vector = FromLosses({n: lambda s, a, b: a.weight.flatten() + b.weight.flatten() for n in players}, players)
    with pytest.raises(InvalidValue, match=r"the loss of 'a' has shape \(1,\): expected a scalar"):
        vector.gradients(Index(torch.zeros(1)))
    game = small_gan()
    with pytest.raises(InvalidValue, match="unknown player 'discriminator'"):
        game.gradients(small_source().sample(2), ["discriminator"])


def test_scores_in_a_column_are_refused() -> None:
    game = Adversarial(nn.Linear(4, 2), nn.Linear(2, 1), objective=NonSaturating())
    with pytest.raises(InvalidValue, match=r"returned shape \(8, 1\) for a batch of 8: expected \(8,\)"):
        game.gradients(small_source(dtype=torch.float32).sample(8))
