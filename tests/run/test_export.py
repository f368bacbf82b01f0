"""Generators on their own: what is exported, and what is refused before training."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from manypaths.data.array import Array
from manypaths.data.base import Data, DataSet
from manypaths.data.synthetic import Ring
from manypaths.errors import InvalidType
from manypaths.games.adversarial import Adversarial
from manypaths.metrics.precision_recall import PrecisionRecall
from manypaths.metrics.transport import SlicedWasserstein, WassersteinDistance
from manypaths.models.mlp import MlpCritic, MlpGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.ema import EMA
from manypaths.oracles.stochastic import Stochastic
from manypaths.rules.simultaneous import Simultaneous
from manypaths.run.export import load
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe
from manypaths.sources.paired import PairedSource
from manypaths.specs import Spec


class Tied(MlpGenerator):
    """One weight under two names."""

    def __init__(self):
        super().__init__(latent=8, shape=(2,), hidden=(8, 8, 8))
        self.layers[4].weight = self.layers[2].weight
        self.layers[4].bias = self.layers[2].bias


class Unlisted(MlpGenerator):
    """A random scale that no ``state_dict`` lists."""

    def __init__(self):
        super().__init__(latent=8, shape=(2,), hidden=(8,))
        self.register_buffer("scale", 1.0 + torch.rand(2), persistent=False)

    def forward(self, latent, label=None):
        return self.scale * super().forward(latent, label)


class ExtraState(MlpGenerator):
    """State that is no tensor."""

    def __init__(self):
        super().__init__(latent=8, shape=(2,), hidden=(8,))

    def get_extra_state(self):
        return {"calls": 3}

    def set_extra_state(self, state):
        pass


class Complex128(MlpGenerator):
    """A weight that safetensors files do not hold."""

    def __init__(self):
        super().__init__(latent=8, shape=(2,), hidden=(8,))
        self.turn = nn.Parameter(torch.ones(2, dtype=torch.complex128))

    def forward(self, latent, label=None):
        return (super().forward(latent, label) * self.turn).real.float()


class DoubleGenerator(MlpGenerator):
    """Float64, as its data are."""

    def __init__(self):
        super().__init__(latent=8, shape=(2,), hidden=(8,))
        self.double()


class DoubleCritic(MlpCritic):
    """Float64, as its data are."""

    def __init__(self):
        super().__init__(hidden=(8,))
        self.double()


@dataclass(frozen=True)
class DoubleRing(DataSet):
    """Eight Gaussians on a circle, in float64."""

    def load(self) -> Data:
        return Data(Ring(size=64).load().real.double())


@pytest.fixture
def plane(tmp_path) -> Recipe:
    """Points in the plane, two steps."""
    torch.save(torch.randn(64, 2), tmp_path / "points.pt")
    return Recipe(
        name="plane",
        data=Spec(Array, path=str(tmp_path / "points.pt")),
        source=Spec(PairedSource, latent=8, latents="fresh"),
        game=Spec(
            Adversarial,
            generator=Spec(MlpGenerator, latent=8, hidden=(8,)),
            critic=Spec(MlpCritic, hidden=(8,)),
            objective=Spec(NonSaturating),
        ),
        oracle=Spec(Stochastic, batch=8),
        rule=Spec(Simultaneous),
        optimizers={n: Spec(torch.optim.SGD, lr=0.1) for n in ("critic", "generator")},
        averages={"ema": Spec(EMA)},
        steps=2,
        threads=1,
        noise_every=0,
        metrics=(),
    )


@pytest.mark.parametrize("generator", [Tied, Unlisted])
@pytest.mark.parametrize("which", ["last", "ema"])
def test_shared_and_unlisted_state_is_exported(plane, tmp_path, generator, which) -> None:
    run = Run(plane.with_({"game.generator": Spec(generator)}), tmp_path / "r")
    assert run.train().state == "finished"
    torch.manual_seed(7)  # what the loaded one draws for itself must not matter
    found, latent = load(tmp_path / "r", which, trust_code=True), torch.randn(5, 8)
    game = run.training.game
    with run.training.averages["ema"].swapped(game) if which == "ema" else game.at(game.point()):
        assert torch.equal(found(latent), game.players["generator"](latent))


def test_a_file_from_before_without_unlisted_buffers_is_loaded(plane, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    Run(plane.with_({"game.generator": Spec(Unlisted)}), tmp_path / "r").train()
    path = tmp_path / "r" / "generator-last.safetensors"
    save_file({k: v for k, v in load_file(path).items() if not k.startswith("unlisted:")}, path)
    assert load(tmp_path / "r", trust_code=True)(torch.randn(5, 8)).shape == (5, 2)


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (ExtraState, "the generator keeps '_extra_state', which is no plain tensor and cannot be exported"),
        (Complex128, "the generator's 'turn' has the dtype torch.complex128, which safetensors files do not hold"),
    ],
)
def test_what_cannot_be_exported_is_said_before_training(plane, tmp_path, generator, message) -> None:
    with pytest.raises(InvalidType, match=message):
        Run(plane.with_({"game.generator": Spec(generator)}), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_float64_gan_is_evaluated_in_float64(plane, tmp_path) -> None:
    metrics = (Spec(WassersteinDistance), Spec(SlicedWasserstein), Spec(PrecisionRecall))
    changes = {
        "game.generator": Spec(DoubleGenerator),
        "game.critic": Spec(DoubleCritic),
        "evaluate_every": 1,
        "data": Spec(DoubleRing),
    }
    recipe = plane.with_({**changes, "metrics": metrics, "evaluate_samples": 64})
    run = Run(recipe, tmp_path / "r")
    assert run.training.oracle.source.real.dtype == torch.float64
    assert run.train().state == "finished"
    assert run.directory.rows()[-1]["score"]["ema"]["wasserstein"] > 0
