"""Counter-based random numbers."""

from __future__ import annotations

import math

import torch

from manypaths.randomness import counter_normal, counter_uniform, generator_for, seed_for

SEEDS = torch.randint(1 << 62, (4000,), generator=torch.Generator().manual_seed(0))


def test_a_summand_sees_the_same_numbers_in_any_batch() -> None:
    whole = counter_uniform(SEEDS, (3, 5), "a")
    part = counter_uniform(SEEDS[100:200], (3, 5), "a")
    assert torch.equal(whole[100:200], part)


def test_streams_differ_and_numbers_are_uniform() -> None:
    a, b = (counter_uniform(SEEDS, (16,), s, dtype=torch.float64) for s in "ab")
    for u in (a, b):
        assert 0 <= u.min() < 1e-3
        assert 1 - 1e-3 < u.max() < 1
        ordered = u.flatten().sort().values
        grid = torch.arange(1, u.numel() + 1, dtype=torch.float64) / u.numel()
        assert (ordered - grid).abs().max() < 1.63 / math.sqrt(u.numel()), "Kolmogorov-Smirnov at 1 %"
    pairs = [(a, b), (a[:, :-1], a[:, 1:]), (a[:-1], a[1:])]
    for x, y in pairs:
        correlation = torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1]
        assert abs(correlation) < 4 / math.sqrt(x.numel())


def test_normal_moments() -> None:
    z = counter_normal(SEEDS, (16,), "z", dtype=torch.float64)
    n = z.numel()
    assert abs(z.mean()) < 4 / math.sqrt(n)
    assert abs(z.square().mean() - 1) < 4 * math.sqrt(2 / n)
    assert abs(z.pow(4).mean() - 3) < 4 * math.sqrt(96 / n)


def test_purposes_do_not_share_a_stream() -> None:
    assert seed_for(0, "a") != seed_for(0, "b") != seed_for(1, "a")
    first, second = (torch.rand(3, generator=generator_for(0, "a")) for _ in range(2))
    assert torch.equal(first, second)
