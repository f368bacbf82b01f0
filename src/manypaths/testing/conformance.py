"""What every rule and oracle must do; each check raises ``AssertionError`` in words."""

from __future__ import annotations

import copy
import io
import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from manypaths.errors import InputError, InvalidType
from manypaths.games.adversarial import Adversarial
from manypaths.games.base import Game
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.base import Objective
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.base import Optimizers
from manypaths.oracles.base import Oracle
from manypaths.oracles.full_batch import component_batches, full_gradient
from manypaths.oracles.stochastic import Stochastic
from manypaths.oracles.svrg import SVRG
from manypaths.randomness import generator_for
from manypaths.rules.base import Rule
from manypaths.rules.simultaneous import Simultaneous
from manypaths.sources.base import Source
from manypaths.sources.paired import PairedSource
from manypaths.training import Training
from manypaths.vectors import flat


class _CountingCritic(nn.Module):
    """An MLP critic with a buffer that counts forward passes, and a parameter that no loss depends on."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.inner = MlpCritic(hidden=(16,))
        self.unused = nn.Parameter(torch.ones(3))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, data: Tensor) -> Tensor:
        self.calls += 1
        return self.inner(data)


def small_gan(
    *, dtype: torch.dtype = torch.float64, objective: Objective | None = None, penalties: Any = ()
) -> Adversarial:
    """A seeded 2-d GAN of about 300 weights with a forward-counting buffer and an unused parameter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator, critic = MlpGenerator(latent=4, hidden=(16,)), _CountingCritic()
    game = Adversarial(generator, critic, objective=objective or NonSaturating(), penalties=penalties)
    for module in game.players.values():
        module.to(dtype)
    return game


def small_source(size: int = 64, *, dtype: torch.dtype = torch.float64, seed: int = 0) -> PairedSource:
    """A finite source of 2-d points."""
    real = torch.randn(size, 2, generator=generator_for(seed, "conformance"), dtype=dtype)
    return PairedSource(real, latent=4, seed=seed)


def check_rule(make: Callable[[], Rule]) -> None:
    """Conformance of a rule: the whole list below, on a small GAN.

    Deterministic under a seed; resumed equals uninterrupted, and a state that was handed out stays as it is; parameters
    keep their storage and no graph; parameters without a gradient stay untouched; a subset of players moves only
    those (or is refused by a rule for all players at once); exactly one evaluation per step and moved player set moves
    buffers. The oracle and the base are the first that the rule accepts: mini-batches or SVRG, Adam or SGD.
    """
    first, second = _trained(make, 6), _trained(make, 6)
    assert torch.equal(_weights(first), _weights(second)), "two runs of one seed differ"
    halfway, resumed = _trained(make, 3), _training(make)
    state = halfway.rule.state_dict()
    saved, as_saved = _through_disk(halfway.state_dict()), copy.deepcopy(state)
    halfway.step()
    assert _same(state, as_saved), "a later step wrote into the state that was handed out: replace memory, or copy it"
    resumed.load_state_dict(saved)
    for _ in range(3):
        resumed.step()
    assert torch.equal(_weights(first), _weights(resumed)), "a resumed run differs: state_dict misses something"

    training = first
    places = [p.data_ptr() for name in training.game.players for p in training.game.parameters(name)]
    unused = training.game.players["critic"].get_parameter("unused")
    before: Any = training.game.players["critic"].get_buffer("calls").clone()
    reference = _calls_of_one_evaluation()
    training.step()
    after = training.game.players["critic"].get_buffer("calls")
    assert places == [p.data_ptr() for name in training.game.players for p in training.game.parameters(name)], (
        "parameters moved to new storage: write in place"
    )
    for name in training.game.players:
        for p in training.game.parameters(name):
            assert p.grad_fn is None, f"a parameter of {name} carries a graph"
            assert p.requires_grad, f"a parameter of {name} stopped requiring a gradient"
    assert torch.equal(unused, torch.ones_like(unused)), "a parameter without a gradient was moved"
    assert float(after - before) <= reference * _turns(training.rule), (
        "more than one evaluation of the step moved buffers"
    )
    assert float(after - before) > 0, "no evaluation of the step moved buffers"
    _check_subset(make)


def _check_subset(make: Callable[[], Rule]) -> None:
    for mover in ("critic", "generator"):
        training = _training(make)
        start = training.game.point()
        try:
            training.rule.step(training.game, training.oracle, training.optimizers, (mover,))
        except InputError:
            assert training.rule.joint_only, f"a step of {mover} alone was refused, and joint_only is not declared"
            continue
        assert not training.rule.joint_only, f"joint_only is declared, and a step of {mover} alone was not refused"
        for name in training.game.players:
            same = all(torch.equal(a, b) for a, b in zip(start[name], training.game.point()[name], strict=True))
            assert same == (name != mover), (
                f"a step of {mover} alone {'moved' if name != mover else 'did not move'} {name}"
            )


def check_oracle(make: Callable[[Source], Oracle]) -> None:
    """Conformance of an oracle over a finite source.

    Deterministic under a seed; resumed equals uninterrupted, counts included; evaluations are counted for the asked
    players only (for all, where the oracle couples players); evaluating a sample again gives the same, and moves
    neither weights nor (unless asked) buffers; where it says that it is unbiased, its mean is the full gradient.
    """
    whole, again = _trained(Simultaneous, 6, make), _trained(Simultaneous, 6, make)
    assert torch.equal(_weights(whole), _weights(again)), "two runs of one seed differ"
    resumed = _training(Simultaneous, make)
    resumed.load_state_dict(_through_disk(_trained(Simultaneous, 3, make).state_dict()))
    for _ in range(3):
        resumed.step()
    assert torch.equal(_weights(whole), _weights(resumed)), "a resumed run differs: state_dict misses something"
    assert whole.oracle.evaluations == resumed.oracle.evaluations, "a resumed run's count differs"

    training = _trained(Simultaneous, 2, make)
    game, oracle = training.game, training.oracle
    weights, buffers, spent = _weights(training), [b.clone() for b in game.buffers()], dict(oracle.evaluations)
    sample = oracle.draw()
    first = oracle(game, sample, ("critic",))
    assert list(first) == ["critic"], f"asked for the critic, it answered for {list(first)}"
    assert torch.equal(weights, _weights(training)), "an evaluation moved weights"
    assert all(torch.equal(a, b) for a, b in zip(buffers, game.buffers(), strict=True)), "an evaluation moved buffers"
    assert oracle.evaluations["critic"] > spent["critic"], "an evaluation was not counted"
    others = oracle.evaluations["generator"] - spent["generator"]
    assert oracle.couples_players or not others, "a player that was not asked for was counted"
    second = oracle(game, sample)
    assert torch.equal(flat(first), flat({"critic": second["critic"]})), "the same sample gave two estimates"
    if oracle.unbiased:
        assert mean_error(game, oracle) < 1e-12, "the mean over all components is not the full gradient"


def mean_error(game: Game, oracle: Any) -> float:
    """||mean of the estimates over all draws - full gradient|| / ||full gradient||, at the current iterate."""
    resolved = getattr(oracle, "_resolved", None) or "samples"
    chunks = component_batches(oracle.source, resolved, oracle.batch, 1)
    full = flat(full_gradient(game, chunks, equal=resolved == "batches")[0])
    return float((mean_estimate(game, oracle) - full).norm() / full.norm())


def mean_estimate(game: Game, oracle: Oracle) -> Tensor:
    """The exact mean of an oracle's estimate at the current iterate, as one vector."""
    return torch.stack([p * flat(oracle(game, sample)) for p, sample in oracle.outcomes()]).sum(0)


def check_pure(game: Game, sample: Any) -> None:
    """Two evaluations at the same weights, buffers and sample are equal, and nothing moved."""
    buffers = [b.clone() for b in game.buffers()]
    first, second = flat(game.gradients(sample)), flat(game.gradients(sample))
    assert torch.equal(first, second), f"the same sample gave two gradients, {(first - second).norm():.1e} apart"
    assert all(torch.equal(a, b) for a, b in zip(buffers, game.buffers(), strict=True)), "an evaluation moved buffers"


# ---- how ----------------------------------------------------------------------------------------------------------


_ORACLES = (lambda source: Stochastic(source, batch=8), lambda source: SVRG(source, batch=8, every=3))
_BASES = (partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.9)), partial(torch.optim.SGD, lr=1e-2))


def _training(rule: Callable[[], Rule], oracle: Callable[[Source], Oracle] | None = None) -> Training:
    """The rule with the first oracle and base that it accepts."""
    refused: InputError | None = None
    for make, base in itertools.product([oracle] if oracle else _ORACLES, _BASES):
        game = small_gan()
        optimizers = Optimizers({name: base(game.parameters(name)) for name in game.players})
        try:
            return Training(game, make(small_source()), rule(), optimizers)
        except InvalidType as error:
            refused = refused or error
    assert refused is not None
    raise refused


def _trained(rule: Callable[[], Rule], steps: int, oracle: Callable[[Source], Oracle] | None = None) -> Training:
    training = _training(rule, oracle)
    for _ in range(steps):
        training.step()
    return training


def _turns(rule: Any) -> int:
    """How many stops a step has at which buffers may move."""
    inner = getattr(rule, "inner", None)
    return len(getattr(rule, "order", (None,))) * (_turns(inner) if inner is not None else 1)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping):
        return set(a) == set(b) and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    return torch.equal(a, b) if isinstance(a, Tensor) else a == b


def _weights(training: Training) -> Tensor:
    return flat(training.game.point())


def _through_disk(state: dict[str, Any]) -> dict[str, Any]:
    """A state dict as a checkpoint returns it: loaded without running code."""
    file = io.BytesIO()
    torch.save(copy.deepcopy(state), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def _calls_of_one_evaluation() -> float:
    game = small_gan()
    game.gradients(small_source().sample(8), moves_buffers=True)
    return float(game.players["critic"].get_buffer("calls"))
