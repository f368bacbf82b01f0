"""When does variance reduction help? Var(SVRG) / Var(mini-batch) at the same point, against the snapshot's age.

    python examples/variance_ratio.py

trains the 8x8 DCGAN on scikit-learn's digits with SVRE, with and without BatchNorm, and measures at snapshot ages of
1, 5 and 20 steps and of half an epoch. Below 1, variance reduction helps.
"""

import torch

from manypaths import SVRG, Adversarial, Extragradient, NonSaturating, PairedSource, Training
from manypaths.data.digits import Digits
from manypaths.metrics import gradient_noise
from manypaths.models import DcganCritic, DcganGenerator

BATCH, LR, DRAWS = 50, 1e-2, 16


def measure(norm: str) -> None:
    torch.manual_seed(0)
    data = Digits().load()
    source = PairedSource(data.real, latent=32)
    game = Adversarial(
        DcganGenerator(size=8, latent=32, width=32, norm=norm),
        DcganCritic(size=8, width=32, norm=norm),
        objective=NonSaturating(),
    )
    oracle = SVRG(source, batch=BATCH, schedule="fixed", every=10**9)
    optimizers = {name: torch.optim.SGD(game.parameters(name), lr=LR) for name in game.players}
    training = Training(game, oracle, Extragradient(), optimizers)
    for _ in range(30):  # measure away from the initial point
        training.step()
    print(
        f"BatchNorm {'on' if game.couples_samples else 'off'}: {oracle.n_batches} mini-batches of {BATCH} in an epoch"
    )
    half_epoch = oracle.n_batches // 4  # in steps: each draws two mini-batches
    for age in (1, 5, half_epoch, 20):
        oracle.take_snapshot(game)
        for _ in range(age):
            training.step()
        noise = gradient_noise(game, oracle, draws=DRAWS)
        ratios = ", ".join(f"{name} {value.ratio:.3f}" for name, value in noise.items())
        print(f"  {age:2d} steps ({oracle.age} mini-batches) after the snapshot: variance ratio {ratios}")


if __name__ == "__main__":
    for norm in ("none", "batch"):
        measure(norm)
