"""The networks, data and trainings that several benchmarks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from manypaths import SVRG, Adversarial, Extragradient, Hinge, NonSaturating, PairedSource, Stochastic, Training
from manypaths.evaluation.execution import Execution
from manypaths.models import DcganCritic, DcganGenerator, MlpCritic, MlpGenerator, SaganCritic, SaganGenerator
from manypaths.objectives.base import Objective
from manypaths.randomness import generator_for

LATENT, LR, BATCHES = 128, 1e-4, 4


@dataclass(frozen=True)
class Subject:
    """A pair of networks, the objective, and the batch they are trained with."""

    name: str
    batch: int
    shape: tuple[int, ...]
    objective: Objective
    kinds: tuple[type[nn.Module], type[nn.Module]]
    settings: tuple[dict[str, Any], dict[str, Any]]

    def networks(self) -> tuple[nn.Module, nn.Module]:
        torch.manual_seed(0)
        generator, critic = (kind(**given) for kind, given in zip(self.kinds, self.settings, strict=True))
        return generator, critic

    def source(self, batches: int = BATCHES) -> PairedSource:
        """Resident random data, ``batches`` mini-batches of them."""
        return PairedSource(self._data(batches * self.batch), latent=LATENT)

    def game(self, **execution: Any) -> Adversarial:
        game = Adversarial(*self.networks(), objective=self.objective)
        Execution(**execution).prepare(game)
        return game

    def training(self, *, reduced: bool, batches: int = BATCHES, store: str = "none", **execution: Any) -> Training:
        """SVRE or stochastic extragradient, with plain steps; the snapshot is taken, and no other will be."""
        game, data = self.game(**execution), self.source(batches)
        oracle: Any = Stochastic(data, batch=self.batch)
        if reduced:
            table: Any = {} if store == "none" else {"store": store, "budget": 16.0}
            oracle = SVRG(data, batch=self.batch, schedule="fixed", every=1e12, **table)
        optimizers = {name: torch.optim.SGD(game.parameters(name), lr=LR) for name in game.players}
        made = Training(game, oracle, Extragradient(), optimizers)
        made.step()
        return made

    def _data(self, n: int) -> Tensor:
        generator = generator_for(0, "data")
        if len(self.shape) == 1:
            return torch.randn(n, *self.shape, generator=generator)
        return torch.randint(256, (n, *self.shape), generator=generator, dtype=torch.uint8)


DCGAN = Subject(
    "DCGAN-28",
    50,
    (1, 28, 28),
    NonSaturating(),
    (DcganGenerator, DcganCritic),
    ({"size": 28, "latent": LATENT}, {"size": 28}),
)
SAGAN = Subject("SAGAN-32", 64, (3, 32, 32), Hinge(), (SaganGenerator, SaganCritic), ({"latent": LATENT}, {}))
MLP = Subject(
    "MLP",
    64,
    (2,),
    NonSaturating(),
    (MlpGenerator, MlpCritic),
    ({"latent": LATENT, "hidden": (64, 64)}, {"hidden": (64, 64)}),
)
