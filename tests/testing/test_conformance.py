"""One suite over every table, and proof that it catches planted faults."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest
import torch

from manypaths.games.source import Source
from manypaths.objectives import OBJECTIVES
from manypaths.oracles import ORACLES
from manypaths.oracles.accelerated import AcceleratedSVRG
from manypaths.oracles.base import Oracle
from manypaths.oracles.consensus import Consensus
from manypaths.oracles.full import Full
from manypaths.oracles.importance import Importance
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.stored_gradients import StoredGradients
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.symplectic import Symplectic
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


def make_oracle(name: str, source: Source) -> Oracle:
    around = {
        "consensus": lambda make: make(Stochastic(source, batch=8), weight=0.1),
        "symplectic": lambda make: make(Stochastic(source, batch=8), weight=0.1),
        "importance": lambda make: make(SVRG(source, batch=8, summands="batches"), constants=(1, 2, 3, 4, 5, 6, 7, 8)),
        "accelerated-svrg": lambda make: make(SVRG(source, batch=8, every=2), tau=0.1),
    }
    make = around.get(name, lambda make: make(source, batch=8))
    return make(ORACLES[name])


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
    conformance.check_oracle(partial(make_oracle, name))


@pytest.mark.parametrize("refresh", ["fixed", "geometric", "loopless", "svre"])
@pytest.mark.parametrize("when", ["always", "helps"])
def test_svrg_variants(refresh, when) -> None:
    make = lambda source: ORACLES["svrg"](source, batch=8, refresh=refresh, when=when, every=3, check_every=2)  # noqa: E731
    conformance.check_oracle(make)


@pytest.mark.parametrize("update", ["visit", "snapshot"])
@pytest.mark.parametrize("summands", ["samples", "batches"])
def test_stored_gradients_variants(update, summands) -> None:
    every = {"every": 3} if update == "snapshot" else {}
    conformance.check_oracle(lambda source: StoredGradients(source, 4, update, summands=summands, **every))


@pytest.mark.parametrize("make", [Consensus, Symplectic, partial(Symplectic, align=True)])
@pytest.mark.parametrize("independent", [True, False])
def test_second_order_variants(make, independent) -> None:
    conformance.check_oracle(lambda source: make(Stochastic(source, 8), weight=0.1, independent=independent))
    if independent:
        conformance.check_oracle(lambda source: make(Full(source, chunk=24), weight=0.1))


def test_importance_variants() -> None:
    weights = torch.linspace(1.0, 2.0, 64)
    conformance.check_oracle(lambda source: Importance(Stochastic(source, batch=1), weights))
    conformance.check_oracle(lambda source: Importance(Stochastic(source, batch=8), weights[:8]))
    conformance.check_oracle(lambda source: Importance(SVRG(source, batch=1, every=3), weights))
    conformance.check_oracle(lambda source: AcceleratedSVRG(Importance(SVRG(source, 1, every=3), weights), tau=0.1))


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
