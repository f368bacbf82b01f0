"""One suite over every table, and proof that it catches planted faults."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from manypaths.objectives import OBJECTIVES
from manypaths.oracles import ORACLES
from manypaths.penalties import PENALTIES
from manypaths.penalties.base import Penalty
from manypaths.rules import RULES
from manypaths.rules.alternating import Alternating
from manypaths.rules.base import Rule, StepInfo
from manypaths.rules.extragradient import Extragradient
from manypaths.testing import conformance

ORDER = ("critic", "generator")


def make_rule(name: str) -> Rule:
    return RULES[name](ORDER) if name == "alternating" else RULES[name]()


@pytest.mark.parametrize("name", RULES)
def test_rules(name) -> None:
    conformance.check_rule(lambda: make_rule(name))


@pytest.mark.parametrize("name", [name for name in RULES if not RULES[name].joint_only])
def test_rules_inside_alternating(name) -> None:
    conformance.check_rule(lambda: Alternating(("critic", "critic", "generator"), make_rule(name)))


@pytest.mark.parametrize("options", [{"at": "opponent"}, {"moments": "rewind"}, {"moments": "separate"}])
def test_extragradient_variants(options) -> None:
    conformance.check_rule(lambda: Extragradient(**options))


@pytest.mark.parametrize("name", ORACLES)
def test_oracles(name) -> None:
    conformance.check_oracle(lambda source: ORACLES[name](source, batch=8))


@pytest.mark.parametrize("refresh", ["fixed", "geometric", "loopless", "svre"])
@pytest.mark.parametrize("when", ["always", "helps"])
def test_svrg_variants(refresh, when) -> None:
    make = lambda source: ORACLES["svrg"](source, batch=8, refresh=refresh, when=when, every=3, check_every=2)  # noqa: E731
    conformance.check_oracle(make)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives(name) -> None:
    conformance.check_objective(OBJECTIVES[name]())


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties(name) -> None:
    conformance.check_penalty(PENALTIES[name]())


@pytest.mark.parametrize("noise", ["original", "compare-gan", "gaussian"])
@pytest.mark.parametrize("std", ["batch", 0.7])
def test_dragan_variants(noise, std) -> None:
    conformance.check_penalty(PENALTIES["dragan"](noise=noise, std=std))


def test_a_game_is_pure() -> None:
    game = conformance.small_gan(penalties=[PENALTIES["interpolated"]()])
    conformance.check_pure(game, conformance.small_source().sample(8))


@dataclass
class _ForgetsItsMemory(Rule):
    """Heavy-ball by hand, whose memory is missing from ``state_dict``."""

    past: dict = field(default_factory=dict, init=False)

    def step(self, game, oracle, bases, players=None):
        gradients = oracle(game, oracle.draw(), players, moves_buffers=True)
        for name in gradients:
            for i, g in enumerate(gradients[name]):
                if g is not None:
                    old = self.past.get((name, i))
                    self.past[name, i] = g.clone()
                    if old is not None:
                        g.add_(old)
        bases.apply(game, gradients)
        return StepInfo(gradients.losses)


@dataclass
class _MovesEveryone(Rule):
    def step(self, game, oracle, bases, players=None):
        gradients = oracle(game, oracle.draw(), moves_buffers=True)
        bases.apply(game, gradients)
        return StepInfo(gradients.losses)


@dataclass
class _NeverMovesBuffers(Rule):
    def step(self, game, oracle, bases, players=None):
        gradients = oracle(game, oracle.draw(), players)
        bases.apply(game, gradients)
        return StepInfo(gradients.losses)


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (_ForgetsItsMemory, "state_dict misses something"),
        (_MovesEveryone, "of critic alone moved generator"),
        (_NeverMovesBuffers, "no evaluation of the step moved buffers"),
    ],
)
def test_faulty_rules_are_caught(rule, complaint) -> None:
    with pytest.raises(AssertionError, match=complaint):
        conformance.check_rule(rule)


class _GlobalNoise(Penalty):
    def __call__(self, critic, sample, fake):
        return critic(sample.real + torch.randn_like(sample.real)).mean()


def test_a_penalty_with_global_noise_is_caught() -> None:
    with pytest.raises(AssertionError, match=r"draw noise from sample\.seed"):
        conformance.check_penalty(_GlobalNoise())
