"""One suite over every table, and proof that it catches planted faults."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from functools import partial

import pytest
import torch

from manypaths import specs
from manypaths.fields import accepted
from manypaths.objectives import OBJECTIVES
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.objectives.relativistic import RelativisticAverage
from manypaths.oracles import ORACLES
from manypaths.oracles.accelerated import AcceleratedSVRG
from manypaths.oracles.base import Oracle
from manypaths.oracles.consensus import Consensus
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.importance import Importance
from manypaths.oracles.saga import SAGA
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.symplectic import Symplectic
from manypaths.penalties import PENALTIES
from manypaths.penalties.base import Penalty, input_gradients, squared_norms
from manypaths.penalties.gradient_penalty import GradientPenalty
from manypaths.penalties.lazy import Lazy
from manypaths.penalties.r1 import R1
from manypaths.rules import RULES
from manypaths.rules.alternating import Alternating
from manypaths.rules.alternating_extrapolation import AlternatingExtrapolation
from manypaths.rules.anchored import Anchored
from manypaths.rules.base import Rule, StepInfo
from manypaths.rules.extragradient import Extragradient
from manypaths.rules.lookahead import Lookahead
from manypaths.rules.optimistic import Optimistic
from manypaths.rules.past_extragradient import PastExtragradient
from manypaths.sources.base import Source
from manypaths.specs import Spec
from manypaths.testing import conformance, losses

ORDER = ("critic", "generator")
REQUIRED = {"order": lambda: ORDER, "inner": PastExtragradient}
"""What fields without a default are given, whichever rule has them."""

SEPARATE = [name for name in RULES if not RULES[name].joint_only]


def make_rule(name: str) -> Rule:
    fields = dataclasses.fields(RULES[name])
    needed = [f.name for f in fields if f.init and f.default is f.default_factory is dataclasses.MISSING]
    return RULES[name](**{field: REQUIRED[field]() for field in needed})


def make_oracle(name: str, source: Source) -> Oracle:
    around = {
        "consensus": lambda make: make(Stochastic(source, batch=8), weight=0.1),
        "symplectic": lambda make: make(Stochastic(source, batch=8), weight=0.1),
        "importance": lambda make: make(
            SVRG(source, batch=8, components="batches"), constants=(1, 2, 3, 4, 5, 6, 7, 8)
        ),
        "accelerated-svrg": lambda make: make(SVRG(source, batch=8, every=2), tau=0.1),
    }
    make = around.get(name, lambda make: make(source, batch=8))
    return make(ORACLES[name])


@pytest.mark.parametrize("name", RULES)
def test_rules(name) -> None:
    conformance.check_rule(lambda: make_rule(name))


@pytest.mark.parametrize("order", [ORDER, ORDER[::-1], ("critic", *ORDER)], ids="-".join)
@pytest.mark.parametrize("name", SEPARATE)
def test_rules_inside_alternating(name, order) -> None:
    conformance.check_rule(lambda: Alternating(order, make_rule(name)))


@pytest.mark.parametrize("name", RULES)
def test_rules_inside_lookahead(name) -> None:
    conformance.check_rule(lambda: Lookahead(make_rule(name), k=2))


@pytest.mark.parametrize("name", SEPARATE)
def test_rules_inside_both(name) -> None:
    conformance.check_rule(lambda: Lookahead(Alternating(ORDER, make_rule(name)), k=2))


@pytest.mark.parametrize("name", RULES)
def test_rules_are_parts_of_recipes(name) -> None:
    part = Spec(RULES[name], **{key: make() for key, make in REQUIRED.items() if key in accepted(RULES[name])})
    again = specs.from_plain(json.loads(json.dumps(part.to_plain())), Spec[Rule], "rule")
    assert again == part
    assert type(again.build()) is RULES[name]


@pytest.mark.parametrize(
    "make",
    [
        lambda: PastExtragradient(moments="separate"),
        lambda: Optimistic(of="update"),
        lambda: Anchored(extrapolate=False),
        lambda: Anchored(moments="rewind", fresh_sample=False),
        lambda: AlternatingExtrapolation({"critic": 1.5, "generator": 2.5}),
    ],
)
def test_rule_variants(make) -> None:
    conformance.check_rule(make)


@pytest.mark.parametrize("options", [{"at": "opponent"}, {"moments": "rewind"}, {"moments": "separate"}])
def test_extragradient_variants(options) -> None:
    conformance.check_rule(lambda: Extragradient(**options))


@pytest.mark.parametrize("name", ORACLES)
def test_oracles(name) -> None:
    conformance.check_oracle(partial(make_oracle, name))


@pytest.mark.parametrize("schedule", ["fixed", "geometric", "loopless", "svre"])
@pytest.mark.parametrize("when", ["always", "helps"])
def test_svrg_variants(schedule, when) -> None:
    probing = {"check_every": 2} if when == "helps" else {}
    make = lambda source: ORACLES["svrg"](source, batch=8, schedule=schedule, when=when, every=3, **probing)  # noqa: E731
    conformance.check_oracle(make)


@pytest.mark.parametrize("store", ["game", "bfloat16"])
@pytest.mark.parametrize("when", ["always", "helps"])
def test_svrg_stored_variants(store, when) -> None:
    options = {"every": 3, "store": store, "when": when, **({"check_every": 2} if when == "helps" else {})}
    conformance.check_oracle(lambda source: ORACLES["svrg"](source, batch=8, **options))


@pytest.mark.parametrize("when", ["always", "helps"])
def test_adaptive_svrg(when) -> None:
    options = {"schedule": "adaptive", "when": when, "check_every": 2, "threshold": 1e-6}
    conformance.check_oracle(lambda source: ORACLES["svrg"](source, batch=8, **options))


@pytest.mark.parametrize("components", ["samples", "batches"])
def test_saga_variants(components) -> None:
    conformance.check_oracle(lambda source: SAGA(source, 4, components=components))


@pytest.mark.parametrize("make", [Consensus, Symplectic, partial(Symplectic, align=True)])
@pytest.mark.parametrize("independent", [True, False])
def test_second_order_variants(make, independent) -> None:
    conformance.check_oracle(lambda source: make(Stochastic(source, 8), weight=0.1, independent=independent))
    if independent:
        conformance.check_oracle(lambda source: make(FullBatch(source, chunk=24), weight=0.1))


def test_importance_variants() -> None:
    weights = torch.linspace(1.0, 2.0, 64)
    conformance.check_oracle(lambda source: Importance(Stochastic(source, batch=1), weights))
    conformance.check_oracle(lambda source: Importance(Stochastic(source, batch=8), weights[:8]))
    conformance.check_oracle(lambda source: Importance(SVRG(source, batch=1, every=3), weights))
    conformance.check_oracle(lambda source: Importance(SVRG(source, batch=1, every=3, store="bfloat16"), weights))
    conformance.check_oracle(lambda source: AcceleratedSVRG(Importance(SVRG(source, 1, every=3), weights), tau=0.1))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives(name) -> None:
    losses.check_objective(OBJECTIVES[name]())


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties(name) -> None:
    losses.check_penalty(PENALTIES[name]())


@pytest.mark.parametrize("noise", ["original", "compare-gan", "gaussian"])
@pytest.mark.parametrize("std", ["batch", 0.7])
def test_dragan_variants(noise, std) -> None:
    losses.check_penalty(PENALTIES["dragan"](noise=noise, std=std))


@pytest.mark.parametrize(
    "penalty", [GradientPenalty(sides="one"), GradientPenalty(target=0.0), Lazy(GradientPenalty(), 2)], ids=repr
)
def test_penalty_variants(penalty) -> None:
    losses.check_penalty(penalty)


def test_a_game_is_pure() -> None:
    game = conformance.small_gan(penalties=[PENALTIES["gradient-penalty"]()])
    conformance.check_pure(game, conformance.small_source().sample(8))


@dataclass
class _ForgetsItsMemory(Rule):
    """Heavy-ball by hand, whose memory is missing from ``state_dict``."""

    past: dict = field(default_factory=dict, init=False)

    def step(self, game, oracle, optimizers, players=None):
        gradients = oracle(game, oracle.draw(), players, moves_buffers=True)
        for name in gradients:
            for i, g in enumerate(gradients[name]):
                if g is not None:
                    old = self.past.get((name, i))
                    self.past[name, i] = g.clone()
                    if old is not None:
                        g.add_(old)
        optimizers.apply(game, gradients)
        return StepInfo(gradients.losses)


@dataclass
class _WritesIntoItsMemory(Rule):
    """A sum of gradients in place, handed out without a copy."""

    total: dict = field(default_factory=dict, init=False)

    def step(self, game, oracle, optimizers, players=None):
        gradients = oracle(game, oracle.draw(), players, moves_buffers=True)
        for name in gradients:
            for i, g in enumerate(gradients[name]):
                if g is not None:
                    self.total.setdefault(f"{name}.{i}", torch.zeros_like(g)).add_(g)
        optimizers.apply(game, gradients)
        return StepInfo(gradients.losses)

    def state_dict(self):
        return {"total": self.total}

    def load_state_dict(self, state):
        self.total = state["total"]


@dataclass
class _MovesEveryone(Rule):
    def step(self, game, oracle, optimizers, players=None):
        gradients = oracle(game, oracle.draw(), moves_buffers=True)
        optimizers.apply(game, gradients)
        return StepInfo(gradients.losses)


@dataclass
class _NeverMovesBuffers(Rule):
    def step(self, game, oracle, optimizers, players=None):
        gradients = oracle(game, oracle.draw(), players)
        optimizers.apply(game, gradients)
        return StepInfo(gradients.losses)


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (_ForgetsItsMemory, "state_dict misses something"),
        (_WritesIntoItsMemory, "wrote into the state that was handed out"),
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


class _BatchNorm(Penalty):
    """The norm over the whole batch, undeclared."""

    def __call__(self, critic, sample, fake):
        return input_gradients(critic, sample.real).norm()


class _HalfPrecision(R1):
    """Follows autocast."""

    def __call__(self, critic, sample, fake):
        return self.weight * self.penalty_function(input_gradients(critic, sample.real)).mean()


@dataclass(frozen=True)
class _WrongTarget(GradientPenalty):
    def penalty_function(self, gradients):
        return (squared_norms(gradients) - 0.9).square()


@pytest.mark.parametrize(
    ("penalty", "complaint"),
    [
        (_GlobalNoise, r"draw noise from sample\.seed"),
        (_BatchNorm, "not the mean of its samples': set couples_samples"),
        (_HalfPrecision, "autocast changes the penalty"),
        (_WrongTarget, "not zero on a 1-Lipschitz linear critic"),
    ],
)
def test_faulty_penalties_are_caught(penalty, complaint) -> None:
    with pytest.raises(AssertionError, match=complaint):
        losses.check_penalty(penalty())


class _NoSoftplus(NonSaturating):
    def critic(self, real, fake):
        return -(torch.sigmoid(real) + 1e-8).log().mean() - (1 - torch.sigmoid(fake)).log().mean()


class _Average(RelativisticAverage):
    couples_samples = False


class _OtherCritic(NonSaturating):
    def optimal_critic(self, p, q, points=None):
        return (p - q).sign()


class _NotADivergence(NonSaturating):
    def divergence(self, p, q, points=None):
        return q.sum()


class _ClaimsZeroSum(NonSaturating):
    zero_sum = True


@pytest.mark.parametrize(
    ("objective", "complaint"),
    [
        (_NoSoftplus, "a loss is not finite at scores of about 10000"),
        (_Average, "not the mean of its samples': set couples_samples"),
        (_OtherCritic, "a critic beside the stated optimal one has a lower loss"),
        (_NotADivergence, "the divergence of equal distributions is not zero"),
        (_ClaimsZeroSum, "zero_sum is declared, but the gradients differ"),
    ],
)
def test_faulty_objectives_are_caught(objective, complaint) -> None:
    with pytest.raises(AssertionError, match=complaint):
        losses.check_objective(objective())
