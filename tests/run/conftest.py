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
from manypaths.optim.averaging.uniform import UniformAverage
from manypaths.oracles.svrg import SVRG
from manypaths.rules.extragradient import Extragradient
from manypaths.run.loop import Run
from manypaths.run.recipe import Recipe
from manypaths.sources.paired import PairedSource
from manypaths.specs import Spec


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """Everything that has state, at once: BatchNorm, a partition, separate moments, two averages, restarts, noise."""
    return Recipe(
        name="tiny",
        data=Spec(Digits, limit=512),
        source=Spec(PairedSource, latent=4),
        game=Spec(
            Adversarial,
            generator=Spec(DcganGenerator, size=8, latent=4, width=4),
            critic=Spec(DcganCritic, size=8, width=4),
            objective=Spec(NonSaturating),
        ),
        oracle=Spec(SVRG, batch=64, every=3, when="helps", check_every=3),
        rule=Spec(Extragradient, moments="separate"),
        optimizers={n: Spec(Adam, lr=1e-3, betas=(0.5, 0.9)) for n in ("critic", "generator")},
        averages={"uniform": Spec(UniformAverage, restart=0.5), "ema": Spec(EMA, decay=0.9)},
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
