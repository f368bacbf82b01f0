"""What is looked up once is looked up again when something was put in, taken out, frozen or replaced."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

from manypaths import FromLosses, Simultaneous, Stochastic, Training
from manypaths.games.base import Game as Base
from manypaths.games.structure import Structure
from manypaths.testing.conformance import small_source


class Player(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 1), nn.BatchNorm1d(1))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x):
        return self.scale * self.second(self.first(x))


def game() -> Base:
    return FromLosses({"a": lambda s, a: a(s).square().mean()}, {"a": Player()})


CHANGES: dict[str, Callable[[Base, Player], object]] = {
    "frozen": lambda _, player: player.first.weight.requires_grad_(False),
    "replaced": lambda _, player: setattr(player.first, "bias", nn.Parameter(torch.zeros(3))),
    "another module": lambda _, player: setattr(player, "first", nn.Linear(2, 3)),
    "a module more": lambda _, player: player.second.add_module("last", nn.Linear(1, 1)),
    "a module less": lambda _, player: player.second.__delitem__(1),
    "a weight more": lambda _, player: player.register_parameter("shift", nn.Parameter(torch.zeros(1))),
    "a buffer more": lambda _, player: player.register_buffer("count", torch.zeros(1)),
    "another buffer": lambda _, player: setattr(player, "scale", torch.zeros(())),
    "no buffer": lambda _, player: setattr(player, "scale", None),
    "another player": lambda game, _: setattr(game, "players", {"a": Player()}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(change) -> None:
    subject = game()
    player = subject.players["a"]
    assert isinstance(player, Player)
    known = Structure(subject.players)
    assert known.holds(subject.players)
    CHANGES[change](subject, player)
    assert not known.holds(subject.players)


@pytest.mark.parametrize("change", CHANGES)
def test_the_next_step_finds_what_is_there_then(change) -> None:
    subject = game()
    player = subject.players["a"]
    assert isinstance(player, Player)
    with subject.unchanging():
        assert list(map(id, subject.parameters("a"))) == [id(p) for p in player.parameters()]
    CHANGES[change](subject, player)
    player = subject.players["a"]
    with subject.unchanging(), subject.unchanging():
        assert list(map(id, subject.parameters("a"))) == [id(p) for p in player.parameters() if p.requires_grad]
        assert list(map(id, subject.buffers())) == [id(b) for b in player.buffers()]


def test_weights_that_move_in_place_and_buffers_that_count_change_nothing() -> None:
    subject = game()
    known = Structure(subject.players)
    with torch.no_grad():
        for p in subject.parameters("a"):
            p.add_(1.0)
    subject.gradients(torch.randn(4, 2, generator=torch.Generator().manual_seed(0)), moves_buffers=True)
    assert known.holds(subject.players)


def test_a_traced_player_is_looked_through() -> None:
    with warnings.catch_warnings():  # newer versions of torch would have something else used
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(nn.Linear(2, 1), torch.zeros(1, 2))
    subject = FromLosses({"a": lambda s, a: a(s).square().mean()}, {"a": traced})
    for _ in range(2):
        with subject.unchanging():
            assert [p.shape for p in subject.parameters("a")] == [(1, 2), (1,)]


class Growing(nn.Module):
    """Lists the weights of the stages that it has come to."""

    def __init__(self) -> None:
        super().__init__()
        self.stages, self.stage = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)]), 1

    def named_parameters(self, *args, **kwargs):
        for stage in list(self.stages)[: self.stage]:
            yield from stage.named_parameters(*args, **kwargs)


def test_a_player_with_a_list_of_its_own_is_asked_each_time() -> None:
    growing = Growing()
    subject = FromLosses({"a": lambda s, a: a.stages[0](s).mean()}, {"a": growing})
    with subject.unchanging():
        assert len(subject.parameters("a")) == 2
    growing.stage = 2
    with subject.unchanging():
        assert len(subject.parameters("a")) == 4


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_made_inside_looks_for_itself(copied) -> None:
    subject = game()
    with subject.unchanging():
        shadow = copied(subject)
    shadow.players = {"a": Player()}
    shadow.players["a"].first.weight.requires_grad_(False)
    assert [id(p) for p in shadow.parameters("a")] == [
        id(p) for p in shadow.players["a"].parameters() if p.requires_grad
    ]


def test_a_weight_that_is_frozen_between_two_steps_stays() -> None:
    torch.manual_seed(0)
    players = {name: nn.Linear(2, 1, dtype=torch.float64) for name in "ab"}
    losses = {name: lambda s, a, b: (a(s.real) * b(s.real)).mean() for name in "ab"}
    subject = FromLosses(losses, players)
    optimizers = {name: torch.optim.SGD(subject.parameters(name), lr=0.1) for name in players}
    training = Training(subject, Stochastic(small_source(), batch=4), Simultaneous(), optimizers)
    training.step()
    before = [p.detach().clone() for p in players["a"].parameters()]
    players["a"].weight.requires_grad_(False)
    training.step()
    weight, bias = players["a"].parameters()
    assert torch.equal(weight, before[0])
    assert not torch.equal(bias, before[1])
