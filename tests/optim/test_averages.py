"""Averages over many steps, of weights in every precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manypaths.games.adversarial import Adversarial
from manypaths.games.from_losses import FromLosses
from manypaths.games.generated import inputs as inputs_of
from manypaths.models.mlp import MlpCritic
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.accumulation import AT_ONCE, accumulate_, accumulator
from manypaths.optim.averaging.ema import EMA
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.oracles.stochastic import Stochastic
from manypaths.rules.simultaneous import Simultaneous
from manypaths.run import checkpoint
from manypaths.run.evaluation import evaluated, inputs
from manypaths.sources.paired import PairedSource
from manypaths.step import StepInfo
from manypaths.training import Training
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


# ---- what an average's generator looks like --------------------------------------------------------------------------


def gan() -> Adversarial:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 2))
    generator[1].eval()  # one part that the user keeps in eval mode
    return Adversarial(generator, MlpCritic(hidden=(8,)), objective=NonSaturating())


def trained(game: Adversarial, averages, steps: int = 30) -> Training:
    draw = torch.Generator().manual_seed(0)
    source = PairedSource(torch.randn(64, 2, generator=draw), latent=3, latents="fresh")
    optimizers = {name: torch.optim.SGD(game.parameters(name), lr=0.3) for name in game.players}
    training = Training(game, Stochastic(source, batch=16), Simultaneous(), optimizers, averages=averages, seed=5)
    for _ in range(steps):
        training.step()
    return training


def test_a_swapped_average_has_the_batchnorm_statistics_that_evaluate_uses() -> None:
    game = gan()
    training = trained(game, EMA(decay=0.9))
    average, latents = training.averages["ema"], torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    with evaluated(training, "ema", seed=5) as generator, torch.no_grad():
        expected = generator(latents)
    kept, modes = [b.clone() for b in game.buffers()], [m.training for m in game.generator.modules()]
    with average.swapped(game), torch.no_grad():
        assert [m.training for m in game.generator.modules()] == modes
        mean = game.generator[0](inputs(training, 2048, 5, "batchnorm")[0]).mean(0)
        assert (game.generator[1].running_mean - mean).abs().max() < 1e-5
        game.generator.eval()
        assert torch.equal(game.generator(latents), expected)
        for buffer, last in zip(game.buffers(), kept, strict=True):
            buffer.copy_(last)
        assert (game.generator(latents) - expected).abs().max() > 1e-3, "the last iterate's statistics differ"
    assert all(map(torch.equal, kept, game.buffers()))


def test_looking_at_an_average_with_dropout_moves_no_random_numbers_of_training() -> None:
    game = gan()
    training = trained(game, EMA(decay=0.9), steps=3)
    before = torch.get_rng_state()
    with training.averages["ema"].swapped(game):
        pass
    for mode in ("eval", "train"):
        with evaluated(training, "ema", mode=mode) as generator, torch.no_grad():
            seen = generator(torch.ones(4, 3))
        with evaluated(training, "ema", mode=mode) as generator, torch.no_grad():
            assert torch.equal(generator(torch.ones(4, 3)), seen), "noise is a function of the seed"
    assert torch.equal(torch.get_rng_state(), before)


def test_an_average_without_a_source_says_whose_statistics_it_has() -> None:
    game, average = gan(), EMA(decay=0.9)
    average.update(game, NOTHING)
    said = pytest.warns(UserWarning, match=r"last iterate's .* expected swapped\(game, source=source\)")
    with said as caught, average.swapped(game):
        pass
    assert caught[0].filename == __file__
    source = PairedSource(torch.randn(8, 2), latent=3)
    with average.swapped(game, source=source):
        mean = game.generator[0](inputs_of(game, source, 2048, 0, "batchnorm")[0]).mean(0)
        assert (game.generator[1].running_mean - mean).abs().max() < 1e-5


def test_an_average_of_networks_that_are_no_generator_says_so() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    game, average = FromLosses({"encoder": lambda sample, encoder: encoder(sample).sum()}, {"encoder": net}), EMA()
    average.update(game, NOTHING)
    with pytest.warns(UserWarning, match=r"statistics of 'encoder' .*update_bn"), average.swapped(game):
        pass
