"""Averages over many steps, of weights in every precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manypaths.games.from_losses import FromLosses
from manypaths.optim.averaging.accumulation import AT_ONCE, accumulate_, accumulator
from manypaths.optim.averaging.ema import EMA
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.run import checkpoint
from manypaths.step import StepInfo
from manypaths.vectors import lerp_

NOTHING = StepInfo({})


class Number(nn.Module):
    def __init__(self, dtype: torch.dtype):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, dtype=dtype))

    def set(self, value: float) -> None:
        self.weight.detach().fill_(value)


def number(dtype: torch.dtype) -> tuple[FromLosses, Number]:
    player = Number(dtype)
    return FromLosses({"x": lambda sample, x: x.weight.sum()}, {"x": player}), player


def test_a_uniform_average_over_many_steps_of_float32_is_the_mean() -> None:
    game, player = number(torch.float32)
    average = UniformAverage()
    for step in range(20_000):
        player.set(1.0 + 5e-7 * step)
        average.update(game, NOTHING)
    assert float(average.point()["x"][0]) == pytest.approx(1.0 + 5e-7 * 19_999 / 2, abs=2e-7)


def test_an_ema_of_bfloat16_arrives() -> None:
    game, player = number(torch.bfloat16)
    average = EMA(decay=0.999)
    for step in range(4000):
        player.set(1.0 if step < 1000 else 2.0)
        average.update(game, NOTHING)
    mean = average.point()["x"][0]
    assert mean.dtype == torch.bfloat16
    assert float(mean) == pytest.approx(2.0 - 0.999**3000, abs=2**-7)


def test_averages_of_float64_are_what_they_were_to_the_bit() -> None:
    game, player = number(torch.float64)
    averages, means = (UniformAverage(), EMA(decay=0.9)), [torch.zeros(1, dtype=torch.float64) for _ in range(2)]
    for step in range(1, 200):
        player.set(float(torch.tensor(float(step)).sin()))
        for average, mean in zip(averages, means, strict=True):
            average.update(game, NOTHING)
            lerp_([mean], [player.weight.detach()], 1.0 if step == 1 else average.weight())
            assert torch.equal(average.point()["x"][0], mean)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_average_goes_on_from_a_checkpoint_to_the_bit(tmp_path, dtype) -> None:
    game, player = number(dtype)
    average, resumed = UniformAverage(), UniformAverage()
    for step in range(100):
        player.set(1.0 + 0.01 * step)
        average.update(game, NOTHING)
        if step == 50:
            checkpoint.save(tmp_path / "at", {"average": average.state_dict()})
            resumed.load_state_dict(checkpoint.load(tmp_path / "at")["average"])
            assert torch.equal(resumed.point()["x"][0], average.point()["x"][0])
            assert resumed.point()["x"][0].dtype == dtype
        elif step > 50:
            resumed.update(game, NOTHING)
    assert torch.equal(resumed.state_dict()["mean"]["x"][0], average.state_dict()["mean"]["x"][0])


def test_an_average_of_before_in_the_dtype_of_the_weights_still_loads() -> None:
    game, player = number(torch.float32)
    average = UniformAverage()
    average.load_state_dict({"count": 3, "mean": {"x": [torch.tensor([1.5])]}})
    assert average.point()["x"][0].dtype == torch.float32
    player.set(3.5)
    average.update(game, NOTHING)
    assert float(average.point()["x"][0]) == 2.0


def test_large_tensors_are_averaged_in_pieces_and_equal_to_the_bit() -> None:
    draw = torch.Generator().manual_seed(0)
    start, new = (torch.randn(AT_ONCE + 3, generator=draw) for _ in range(2))
    means = [accumulator(start), accumulator(start)]
    accumulate_(means[:1], [new], 0.3)
    lerp_(means[1:], [new.double()], 0.3)
    assert torch.equal(*means)
