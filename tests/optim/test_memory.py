"""Half-steps that leave no trace, also in what counts in its groups, in attributes or in an optimiser that it wraps."""

from __future__ import annotations

import copy

import pytest
import torch

from manypaths.errors import InvalidType
from manypaths.games.analytic.bilinear import Bilinear
from manypaths.oracles.full_batch import FullBatch
from manypaths.rules.alternating import Alternating
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.past_extragradient import PastExtragradient
from manypaths.sources.base import IndexSource
from manypaths.training import Training


class Counting(torch.optim.Optimizer):
    """Step k goes lr / k: the count is in the groups, as that of schedule-free optimisers and of Prodigy."""

    def __init__(self, params, lr: float = 0.1):
        super().__init__(params, {"lr": lr, "k": 0, "past": [0.0]})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            group["k"] += 1
            group["past"].append(group["lr"] / group["k"])
            for p in group["params"]:
                p.sub_(p.grad, alpha=group["past"][-1])


class Attribute(torch.optim.SGD):
    """The count is an attribute."""

    k = 0

    def __init__(self, params, lr: float = 0.1):
        super().__init__(params, lr=lr)
        self.k, self.seen = torch.zeros(()), {"steps": [0]}

    def step(self, closure=None):
        self.k += 1
        self.seen["steps"][0] += 1
        self.param_groups[0]["lr"] = 0.1 / self.seen["steps"][0]
        assert float(self.k) == self.seen["steps"][0]
        super().step()
        self.param_groups[0]["lr"] = 0.1


class Wrapping(torch.optim.Optimizer):
    """Around another one, whose groups and state it shares."""

    def __init__(self, params, lr: float = 0.1):
        super().__init__(params, {"lr": lr})
        self.base = Counting(params, lr)
        self.param_groups, self.fast = self.base.param_groups, self.base.state

    @torch.no_grad()
    def step(self, closure=None):
        self.base.step()
        for group in self.param_groups:
            for p in group["params"]:
                self.fast[p]["steps"] = self.fast[p].get("steps", 0) + 1
                assert self.fast[p]["steps"] == group["k"]
                assert self.fast is self.base.state


KINDS = [Counting, Attribute, Wrapping]


def training_of(kind, rule) -> Training:
    game = Bilinear.coordinatewise(4)
    optimizers = {name: kind(game.parameters(name)) for name in game.players}
    return Training(game, FullBatch(IndexSource(4)), rule, optimizers)


def extragradient(steps: int, *, half) -> torch.Tensor:
    """The iterate after so many steps of size 0.1 / t, whose half-step is 0.1 / half(t)."""
    game = Bilinear.coordinatewise(4)
    w = game.joint()
    for t in range(1, steps + 1):
        ahead = w - 0.1 / half(t) * game.field(w)
        w = w - 0.1 / t * game.field(ahead)
    return w


@pytest.mark.parametrize("kind", KINDS)
def test_rewinding_takes_counters_back_wherever_they_are(kind) -> None:
    training = training_of(kind, Extragradient(moments="rewind"))
    for _ in range(10):
        training.step()
    assert (training.game.joint() - extragradient(10, half=lambda t: t)).norm() < 1e-14


@pytest.mark.parametrize("kind", KINDS)
def test_separate_half_steps_count_for_themselves(kind) -> None:
    training = training_of(kind, Extragradient(moments="separate"))
    for _ in range(10):
        training.step()
    assert (training.game.joint() - extragradient(10, half=lambda t: t)).norm() < 1e-14


@pytest.mark.parametrize("moments", ["shared", "rewind", "separate"])
def test_counters_in_groups_go_on_from_a_state(moments) -> None:
    first, second = (training_of(Counting, Extragradient(moments=moments)) for _ in range(2))
    for _ in range(4):
        first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for training in (first, second):
        for _ in range(4):
            training.step()
    assert torch.equal(first.game.joint(), second.game.joint())


def test_a_schedule_of_the_learning_rate_reaches_separate_half_steps() -> None:
    """What nobody moves in a half-step is a setting, and that of the moment."""
    game = Bilinear.coordinatewise(4)
    optimizers = {name: Counting(game.parameters(name)) for name in game.players}
    training = Training(game, FullBatch(IndexSource(4)), Extragradient(moments="separate"), optimizers)
    w = game.joint()
    for t in range(1, 6):
        for optimizer in optimizers.values():
            optimizer.param_groups[0]["lr"] = 0.2 * t
        training.step()
        w = w - 0.2 * game.field(w - 0.2 * game.field(w))
        assert (game.joint() - w).norm() < 1e-14


class Log:
    """Something of the user's own that moves."""

    def __init__(self) -> None:
        self.steps = 0


class Logging(torch.optim.SGD):
    def __init__(self, params, lr: float = 0.1):
        super().__init__(params, lr=lr)
        self.log = Log()


@pytest.mark.parametrize("moments", ["rewind", "separate"])
def test_what_cannot_be_taken_back_is_refused_in_words(moments) -> None:
    rules = [Extragradient(moments=moments), PastExtragradient(moments=moments)]
    for rule in [*rules, Lookahead(rules[0]), Alternating(("x", "y"), rules[0])]:
        with pytest.raises(InvalidType, match=r"Logging.log \(Log\), which cannot .* expected moments='shared'"):
            training_of(Logging, rule)
    training_of(Logging, Extragradient(moments="shared"))
