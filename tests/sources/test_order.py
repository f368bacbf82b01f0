"""Reshuffled draws: every component function once per epoch, there and back, however batches are cut."""

from __future__ import annotations

import pytest
import torch

from manypaths.errors import InvalidValue
from manypaths.populations.source import PopulationSource
from manypaths.sources.base import IndexSource
from manypaths.sources.paired import PairedSource

N = 12
MAKES = {
    "index": lambda order, seed=0: IndexSource(N, order=order, seed=seed),
    "paired": lambda order, seed=0: PairedSource(torch.arange(N)[:, None].double(), latent=2, order=order, seed=seed),
}


@pytest.mark.parametrize("make", MAKES)
def test_a_permutation_per_epoch_and_its_reverse(make) -> None:
    source = MAKES[make]("shuffled")
    epochs = [torch.cat([source.indices(4) for _ in range(3)]) for _ in range(4)]
    assert all(torch.equal(epoch.sort().values, torch.arange(N)) for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])
    source = MAKES[make]("flip-flop")
    epochs = [torch.cat([source.indices(4) for _ in range(3)]) for _ in range(4)]
    assert torch.equal(epochs[1], epochs[0].flip(0))
    assert torch.equal(epochs[3], epochs[2].flip(0))
    assert not torch.equal(epochs[2], epochs[0])


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("order", ["independent", "shuffled", "flip-flop"])
def test_cuts_resuming_and_populations_change_nothing(make, order) -> None:
    whole = torch.cat([MAKES[make](order).indices(5) for _ in range(1)] + [])
    source = MAKES[make](order)
    first = source.indices(5)
    assert torch.equal(first, whole)
    state, rest = source.state_dict(), [source.indices(3) for _ in range(12)]
    again = MAKES[make](order)
    again.load_state_dict(state)
    assert all(torch.equal(a, again.indices(3)) for a in rest)
    population = PopulationSource.of(lambda seed: MAKES[make](order, seed), 2)
    drawn = torch.cat([population.sample(5).tensors()["index" if make == "index" else "real"] for _ in range(6)], dim=1)
    for seed in range(2):
        alone = torch.cat([MAKES[make](order, seed).indices(5) for _ in range(1)])
        assert torch.equal(drawn[seed, :5].flatten().long(), alone)


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"unknown value of IndexSource.order: 'suffled'.*'shuffled'"):
        IndexSource(3, order="suffled")
