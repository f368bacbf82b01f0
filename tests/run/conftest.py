"""Small recipes."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.optim import Adam

from manypaths.data.digits import Digits
from manypaths.games.adversarial import Adversarial
from manypaths.models.dcgan import DcganCritic, DcganGenerator
from manypaths.objectives.non_saturating import NonSaturating
from manypaths.optim.averaging.ema import EMA
from manypaths.optim.averaging.uniform import Uniform
from manypaths.oracles.svrg import SVRG
from manypaths.parts import Part
from manypaths.rules.extragradient import Extragradient
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe
from manypaths.sources.paired import PairedSource


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """Everything that has state, at once: BatchNorm, a partition, separate moments, two averages, restarts, noise."""
    return Recipe(
        name="tiny",
        data=Part(Digits, limit=512),
        source=Part(PairedSource, latent=4),
        game=Part(
            Adversarial,
            generator=Part(DcganGenerator, size=8, latent=4, width=4),
            critic=Part(DcganCritic, size=8, width=4),
            objective=Part(NonSaturating),
        ),
        oracle=Part(SVRG, batch=64, every=3, when="helps", check_every=3),
        rule=Part(Extragradient, moments="separate"),
        bases={n: Part(Adam, lr=1e-3, betas=(0.5, 0.9)) for n in ("critic", "generator")},
        averages={"uniform": Part(Uniform, restart=0.5), "ema": Part(EMA, decay=0.9)},
        steps=12,
        threads=1,
        log_every=2,
        noise_every=4,
        noise_draws=2,
        samples_every=5,
        checkpoint_every=3,
    )


@pytest.fixture(scope="session")
def whole(tiny, tmp_path_factory) -> Path:
    """The directory of that recipe's run, finished, for tests that leave it as it is."""
    path = tmp_path_factory.mktemp("whole") / "tiny"
    Run(tiny, path, command="manypaths run tiny").train()
    return path
