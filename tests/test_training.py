"""A resumed training: what is where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from manypaths import training as training_module
from manypaths.games.adversarial import Adversarial
from manypaths.metrics.gradient_noise import gradient_noise
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.optim.base import Optimizers
from manypaths.oracles.svrg import SVRG
from manypaths.populations.population import Population
from manypaths.populations.source import PopulationSource
from manypaths.rules.extragradient import Extragradient
from manypaths.sources.paired import PairedSource
from manypaths.step import StepInfo
from manypaths.training import Training

REAL = torch.randn(32, 3, generator=torch.Generator().manual_seed(0))


class Elsewhere(Tensor):
    """Stands for a tensor on a GPU: only ``cpu`` makes it a plain one again."""

    def cpu(self, *_: Any) -> Tensor:
        return self.as_subclass(Tensor)


def sent(_: torch.device, state: Any) -> Any:
    """What ``_on`` does on the way to a GPU."""
    if isinstance(state, Tensor):
        return state if state.dtype == torch.uint8 else state.as_subclass(Elsewhere)
    if isinstance(state, dict):
        return {key: sent(_, value) for key, value in state.items()}
    return [sent(_, value) for value in state] if isinstance(state, list) else state


def tensors(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    for value in state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ():
        yield from tensors(value)


def gan(seed: int) -> Adversarial:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        critic = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
        return Adversarial(nn.Linear(4, 3), critic, objective=NonSaturating())


def adam(game: Any) -> Optimizers:
    return Optimizers({name: torch.optim.Adam(game.parameters(name)) for name in game.players})


def started(steps: int) -> Training:
    """Members that restart and take snapshots at different steps, so that they differ in counts and costs."""
    game = Population.of(gan, 3)
    source = PopulationSource.of(lambda seed: PairedSource(REAL, latent=4, order="shuffled", seed=seed), 3)
    oracle = SVRG(source, batch=8, schedule="loopless", every=3)
    rule = Extragradient(moments="separate")
    training = Training(game, oracle, rule, adam(game), averages=UniformAverage(restart=0.5))
    for _ in range(steps):
        training.step()
    return training


def test_indices_counts_and_bills_stay_on_the_cpu(monkeypatch) -> None:
    first, resumed = started(15), started(0)
    monkeypatch.setattr(training_module, "_on", sent)
    resumed.load_state_dict(first.state_dict())
    state = resumed.state_dict()
    kept = [state["source"], state["optimizers"], state["coins"], state["averages"]["uniform"]["count"]]
    kept += [state["oracle"][key] for key in ("evaluations", "schedule", "coins")]
    assert all(any(True for _ in tensors(part)) for part in kept), "no part is checked for nothing"
    assert {type(t) for t in tensors(kept)} == {Tensor}
    assert {type(t) for t in tensors([state["oracle"]["snapshot"], state["averages"]["uniform"]["mean"]])} == {
        Elsewhere
    }
    source = PairedSource(REAL, latent=4, order="shuffled")
    source.sample(8)
    source.load_state_dict(sent(torch.device("cpu"), source.state_dict()))
    assert type(source.state_dict()["order"]) is Tensor, "also without Training"


def test_moments_follow_the_weights_and_adams_count_does_not() -> None:
    game, there = gan(0), gan(0)
    rule, source = Extragradient(moments="separate"), PairedSource(REAL, latent=4)
    training = Training(game, SVRG(source, batch=8), rule, adam(game))
    training.step()
    for module in there.players.values():
        module.to("meta")
    optimizers = adam(there)
    optimizers.load_state_dict(training.optimizers.state_dict())
    separate = [state for memory in optimizers._extrapolation.values() for state in memory.states]
    for states in (*(optimizers[name].state for name in optimizers), *separate):
        assert states
        for entry in states.values():
            places = {key: value.device.type for key, value in entry.items()}
            assert places == {"step": "cpu", "exp_avg": "meta", "exp_avg_sq": "meta"}


def test_a_bill_that_was_handed_out_stays_as_it_is() -> None:
    training = started(15)
    oracle, game = training.oracle, training.game
    state = oracle.state_dict()
    spent = {name: counts.tolist() for name, counts in state["evaluations"].items()}
    assert len(set(spent["critic"])) > 1
    resumed = started(0)
    resumed.oracle.load_state_dict(state)
    for each in (oracle, resumed.oracle):
        each.count(game.players, 1)
        assert each.evaluations["critic"].tolist() == [n + 1 for n in spent["critic"]]
    assert {name: counts.tolist() for name, counts in state["evaluations"].items()} == spent
    gradient_noise(game, oracle, draws=2)
    assert oracle.evaluations["critic"].tolist() == [n + 1 for n in spent["critic"]], "measured, not counted"


def test_a_step_prints_its_losses() -> None:
    info = StepInfo({"critic": torch.tensor(0.693147), "generator": torch.tensor([0.5, 2.0])})
    assert str(info) == "critic 0.6931  generator 0.5 to 2"
