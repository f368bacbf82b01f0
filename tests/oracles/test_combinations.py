"""Every rule with every oracle: two steps, or a refusal in one line."""

from __future__ import annotations

import inspect

import pytest
import torch

from manypaths.data.digits import Digits
from manypaths.errors import InputError
from manypaths.games.adversarial import Adversarial
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.oracles import ORACLES
from manypaths.oracles.accelerated import AcceleratedSVRG
from manypaths.oracles.base import Oracle
from manypaths.oracles.consensus import Consensus
from manypaths.oracles.full_batch import FullBatch
from manypaths.oracles.importance import Importance
from manypaths.oracles.mars import Mars
from manypaths.oracles.page import Page
from manypaths.oracles.saga import SAGA
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.storm import Storm
from manypaths.oracles.svrg import SVRG
from manypaths.oracles.symplectic import Symplectic
from manypaths.rules import RULES
from manypaths.rules.alternating import Alternating
from manypaths.rules.base import Rule
from manypaths.rules.simultaneous import Simultaneous
from manypaths.run.recipe import Recipe
from manypaths.sources.paired import PairedSource
from manypaths.specs import Spec
from manypaths.testing.conformance import small_gan, small_source
from manypaths.training import Training

ORDER = ("critic", "generator")
SOURCE = small_source(16)
CHAINS = {
    "stochastic": lambda: Stochastic(SOURCE, batch=4),
    "full-batch": lambda: FullBatch(SOURCE),
    "svrg": lambda: SVRG(SOURCE, batch=4),
    "svrg, stored": lambda: SVRG(SOURCE, batch=4, every=1, store="bfloat16"),
    "saga": lambda: SAGA(SOURCE, batch=4),
    "svrg, best coefficient": lambda: SVRG(SOURCE, batch=4, coefficient="optimal", grain="tensor"),
    "storm": lambda: Storm(SOURCE, batch=4),
    "page": lambda: Page(SOURCE, batch=4),
    "mars": lambda: Mars(SOURCE, batch=4),
    "mars, exact": lambda: Mars(SOURCE, batch=4, correction="exact"),
    "importance": lambda: Importance(Stochastic(SOURCE, batch=4), (1.0, 2.0, 3.0, 4.0)),
    "importance, svrg": lambda: Importance(SVRG(SOURCE, batch=4, components="batches"), (1.0, 2.0, 3.0, 4.0)),
    "accelerated-svrg": lambda: AcceleratedSVRG(SVRG(SOURCE, batch=4, every=1), tau=0.1),
    "consensus": lambda: Consensus(Stochastic(SOURCE, batch=4)),
    "consensus, full": lambda: Consensus(FullBatch(SOURCE)),
    "symplectic": lambda: Symplectic(Stochastic(SOURCE, batch=4), align=True),
}


ONLY = {
    "variance-reduced-extragradient": (
        ("svrg", "svrg, stored"),
        "reads a snapshot and .* has none: expected SVRG|needs the whole correction",
    ),
    "competitive": (("stochastic", "full-batch"), "differentiates losses: expected Stochastic or FullBatch, not "),
}
"""Rules that work with some oracles only, and what they say to the others; every other pair works."""


def make_rule(name: str) -> Rule:
    given = {"order": ORDER, "inner": Simultaneous()}
    needed = [p.name for p in inspect.signature(RULES[name]).parameters.values() if p.default is p.empty]
    return RULES[name](**{parameter: given[parameter] for parameter in needed})


def two_steps(rule: Rule, oracle: Oracle) -> None:
    game = small_gan()
    start = game.point()
    optimizers = {n: torch.optim.SGD(game.parameters(n), lr=1e-3) for n in game.players}
    training = Training(game, oracle, rule, optimizers)
    for _ in range(2):
        assert training.non_finite(training.step()) is None
    for name, weights in game.point().items():
        assert not all(torch.equal(a, b) for a, b in zip(weights, start[name], strict=True)), f"{name} never moved"


def test_every_oracle_of_the_table_is_here() -> None:
    assert {chain.partition(",")[0] for chain in CHAINS} == set(ORACLES)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("rule", RULES)
def test_two_steps(rule, chain) -> None:
    accepted, refusal = ONLY.get(rule, (CHAINS, ""))
    if chain not in accepted:
        with pytest.raises(InputError, match=refusal):
            two_steps(make_rule(rule), CHAINS[chain]())
        return
    two_steps(make_rule(rule), CHAINS[chain]())
    if rule in ("simultaneous", "extragradient"):
        two_steps(Alternating(("critic", *ORDER), make_rule(rule)), CHAINS[chain]())


WEIGHTED = Spec(Importance, oracle=Spec(SVRG, batch=32, components="batches"), constants=(1.0, 2.0) * 28)
NESTED = {
    "consensus": Spec(Consensus, oracle=Spec(Stochastic, batch=32), weight=0.1),
    "accelerated": Spec(AcceleratedSVRG, oracle=WEIGHTED, tau=0.1),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_oracles_in_recipes(name) -> None:
    """The source and the run's seed reach the inner oracle; plain data leave that seed to the run."""
    recipe = Recipe(
        name=name,
        data=Spec(Digits),
        source=Spec(PairedSource, latent=4),
        game=Spec(
            Adversarial,
            generator=Spec(MlpGenerator, latent=4, hidden=(8,), shape=(1, 8, 8)),
            critic=Spec(MlpCritic, hidden=(8,), shape=(1, 8, 8)),
            objective=Spec(NonSaturating),
        ),
        oracle=NESTED[name],
        rule=Spec(Simultaneous),
        optimizers={n: Spec(torch.optim.SGD, lr=1e-3) for n in ORDER},
        seed=5,
    )
    plain = recipe.to_plain()
    assert "'seed'" not in str(plain["oracle"])
    assert Recipe.from_plain(plain) == recipe
    training = recipe.build()
    innermost = training.oracle
    while hasattr(innermost, "oracle"):
        assert innermost.source is training.oracle.source
        innermost = innermost.oracle
    assert getattr(innermost, "seed", 5) == training.oracle.source.seed == 5
    training.step()
    pinned = recipe.with_({"oracle.oracle": Spec(SVRG, batch=32, seed=9)}) if name == "accelerated" else recipe
    assert ("'seed': 9" in str(pinned.to_plain()["oracle"])) == (name == "accelerated")
