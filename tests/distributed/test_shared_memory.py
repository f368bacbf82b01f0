"""The mean over processes through memory that they share: its numbers, who declines, and what is left behind."""

from __future__ import annotations

import copy
import os
import time
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from manypaths import FromLosses, Game
from manypaths.distributed import Distributed, shared_memory
from manypaths.distributed.shared_memory import SharedMemory

PROCESSES, TURNS = 3, 10
pytestmark = pytest.mark.skipif(not shared_memory.PLACE.is_dir(), reason="there is no /dev/shm: nothing is shared")


def numbers(rank: int, dtype: torch.dtype, scale: int = 1) -> list[torch.Tensor]:
    """Of several shapes and memory orders."""
    generator = torch.Generator().manual_seed(rank)
    found = [torch.randn(shape, generator=generator, dtype=dtype) for shape in ((3, 5 * scale), (), (2, 3, 4, 4))]
    found[0], found[2] = found[0].t(), found[2].to(memory_format=torch.channels_last)
    return found


CASES = [(torch.float32, 1), (torch.float64, 40), (torch.float32, 7)]
"""The second one needs more room than the first."""


def _means(memory: SharedMemory, rank: int) -> list[torch.Tensor]:
    found = []
    for dtype, scale in CASES:
        mine = numbers(rank, dtype, scale)
        strides = [t.stride() for t in mine]
        assert memory.mean_(mine)
        assert [t.stride() for t in mine] == strides
        found += mine
    return found


def _wide() -> Game:
    """More numbers than a message of its own takes, and a few."""
    torch.manual_seed(0)
    player = torch.nn.Linear(300, 300)
    return FromLosses({"a": lambda sample, a: a(sample).square().mean()}, {"a": player})


def _unseen(*_) -> int:
    raise FileNotFoundError


def _work(rank: int, address: str, path: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=PROCESSES)
    shared_memory.AT_ONCE = 7  # or nothing here would come in several pieces
    before = set(os.listdir("/dev/shm"))
    memory = SharedMemory()
    results = {"means": _means(memory, rank)}
    dist.barrier()
    named = {name for name in set(os.listdir("/dev/shm")) - before if name.startswith("manypaths-")}
    for turn in range(20):  # whoever is ahead must not overwrite what is still read
        time.sleep(0.002 * ((turn + rank) % PROCESSES))
        mine = numbers(rank + turn, torch.float64, 40)
        assert memory.mean_(mine)
        results[f"turn {turn}"] = mine
    for n in (1, 2, 4):
        few = [torch.full((n,), float(rank)), torch.empty(0), torch.full((), float(rank))][: n + 1]
        assert memory.mean_(few)
        results[f"few {n}"] = few
    memory = copy.deepcopy(memory)
    mine = numbers(rank, torch.float32)
    assert memory.mean_(mine)
    results["copied"] = mine
    results["left"] = torch.tensor(len(named))
    sample = torch.randn(8, 300, generator=torch.Generator().manual_seed(1))
    results["shared"] = Distributed(_wide()).gradients(sample)["a"]
    if rank == 1:  # as where one process is on another machine, or in another container
        shared_memory.os.path.getsize = _unseen
    unwilling = SharedMemory()
    results["declines"] = torch.tensor([unwilling.mean_(numbers(rank, torch.float32)) for _ in range(2)])
    results["sent"] = Distributed(_wide()).gradients(sample)["a"]
    shared_memory.PLACE = Path(path) / "nowhere"
    results["no place"] = torch.tensor(SharedMemory().mean_(numbers(rank, torch.float32)))
    torch.save(results, f"{path}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(on_processes):
    return on_processes(_work, PROCESSES)


def mean_of(turn: int, dtype: torch.dtype, scale: int, *, processes: int = PROCESSES) -> list[torch.Tensor]:
    """In the order of ranks."""
    given = [numbers(rank + turn, dtype, scale) for rank in range(processes)]
    return [
        sum((t * (1.0 / processes) for t in rest), start=first * (1.0 / processes))
        for first, *rest in zip(*given, strict=True)
    ]


def test_every_process_has_the_mean(ranks) -> None:
    expected = [mean for dtype, scale in CASES for mean in mean_of(0, dtype, scale)]
    for results in ranks:
        for mean, found in zip(expected, results["means"], strict=True):
            assert torch.equal(mean, found), "the sum is in the order of the ranks"


def test_exchange_after_exchange(ranks) -> None:
    for turn in range(20):
        for results in ranks:
            for mean, found in zip(mean_of(turn, torch.float64, 40), results[f"turn {turn}"], strict=True):
                assert torch.equal(mean, found)


def test_a_copy_has_memory_of_its_own(ranks) -> None:
    for results in ranks:
        for mean, found in zip(mean_of(0, torch.float32, 1), results["copied"], strict=True):
            assert torch.equal(mean, found)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_fewer_numbers_than_processes(ranks, n) -> None:
    for results in ranks:
        assert [t.tolist() for t in results[f"few {n}"]] == [[1.0] * n, [], 1.0][: n + 1]


def _some(rank: int, address: str, path: str, *, processes: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=processes)
    memory, found = SharedMemory(), []
    for turn in range(TURNS):  # whoever is ahead must not overwrite what is still read
        time.sleep(0.002 * ((turn + rank) % processes))
        mine = numbers(rank + turn, torch.float32, 7)
        assert memory.mean_(mine)
        found += mine
    torch.save(found, f"{path}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("processes", [2, 5])
def test_any_number_of_processes(on_processes, processes) -> None:
    expected = [mean for turn in range(TURNS) for mean in mean_of(turn, torch.float32, 7, processes=processes)]
    for found in on_processes(partial(_some, processes=processes), processes):
        assert all(map(torch.equal, expected, found))


def test_no_name_is_left(ranks) -> None:
    assert [int(results["left"]) for results in ranks] == [0] * PROCESSES, "it is gone while the memory is in use"


def test_all_decline_where_one_cannot(ranks) -> None:
    for results in ranks:
        assert results["declines"].tolist() == [False, False]
        assert not results["no place"]


def test_a_distributed_field_is_the_same_by_memory_and_by_messages(ranks) -> None:
    sample = torch.randn(8, 300, generator=torch.Generator().manual_seed(1))
    alone = _wide().gradients(sample)["a"]
    for results in ranks:
        for mine, shared, sent in zip(alone, results["shared"], results["sent"], strict=True):
            assert torch.allclose(mine, shared, rtol=0.0, atol=1e-7)
            assert torch.allclose(mine, sent, rtol=0.0, atol=1e-7)
    assert torch.equal(ranks[0]["shared"][0], ranks[2]["shared"][0])


def test_there_must_be_room(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shared_memory, "PLACE", tmp_path)

    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert shared_memory._written(bytes(64), 1000) is None
    assert list(tmp_path.iterdir()) == []
