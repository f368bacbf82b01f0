"""Two half-steps of Adam over the weights of DCGAN-28, against raw torch.optim and cooper's ExtraAdam.

    pip install cooper-optim
    python benchmarks/optimisers.py

Gradients are given, so that only the half-steps are timed: extrapolate, go back, update.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
import typer
from harness import compare, record
from nets import DCGAN
from overhead import Stub

from manypaths import Extragradient, Stochastic, Training
from manypaths.run.memory import keep_freed_memory

LR, BETAS = 1e-4, (0.5, 0.999)


def gradients(parameters: list[torch.nn.Parameter]) -> list[torch.Tensor]:
    return [torch.full_like(p, 1e-3) for p in parameters]


def weights() -> list[torch.nn.Parameter]:
    return [p for module in DCGAN.networks() for p in module.parameters()]


def ours(**options: Any) -> Training:
    game = DCGAN.game()
    Stub.of(game)
    game.kept = {name: gradients(game.parameters(name)) for name in game.players}
    optimizers = {name: torch.optim.Adam(game.parameters(name), lr=LR, betas=BETAS, **options) for name in game.players}
    return Training(game, Stochastic(DCGAN.source(), batch=DCGAN.batch), Extragradient(), optimizers)


class Raw:
    """torch.optim and nothing else: two steps, and the copies that an extrapolation needs."""

    def __init__(self, **options: Any):
        self.parameters = weights()
        self.optimiser = torch.optim.Adam(self.parameters, lr=LR, betas=BETAS, **options)

    @torch.no_grad()
    def step(self) -> None:
        start = [p.clone() for p in self.parameters]
        for parameter, gradient in zip(self.parameters, gradients(self.parameters), strict=True):
            parameter.grad = gradient
        self.optimiser.step()
        torch._foreach_copy_(self.parameters, start)
        self.optimiser.step()


class Cooper:
    """ExtraAdam of the package cooper-optim."""

    def __init__(self) -> None:
        try:
            from cooper.optim import ExtraAdam
        except ImportError as error:
            raise SystemExit("this benchmark compares with cooper-optim: pip install cooper-optim") from error
        self.parameters = weights()
        self.optimiser = ExtraAdam(self.parameters, lr=LR, betas=BETAS)

    def step(self) -> None:
        for parameter, gradient in zip(self.parameters, gradients(self.parameters), strict=True):
            parameter.grad = gradient
        self.optimiser.extrapolation()
        self.optimiser.step()


def main(rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 9) -> None:
    keep_freed_memory()
    fused = ours(fused=True)
    title = "two half-steps of Adam on 3.9 million weights, fused"
    record(
        [
            compare(f"{title}, against raw torch.optim", fused.step, Raw(fused=True).step, rounds=rounds, repeats=5),
            compare(f"{title}, against torch.optim as it comes", fused.step, Raw().step, rounds=rounds, repeats=5),
            compare(f"{title}, against cooper's ExtraAdam", fused.step, Cooper().step, rounds=rounds, repeats=5),
        ]
    )


if __name__ == "__main__":
    typer.run(main)
