"""VRAd, the adaptive step of the SVRE authors for variance-reduced gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from manypaths.errors import InvalidType, InvalidValue


class VRAd(Optimizer):
    """Adam whose step keeps the direction d and is damped where its average m is small against sqrt(v).

    m = b1 m + (1 - b1) d,  v = b2 v + (1 - b2) d^2,
    w <- w - lr * d * (|m| / (1 - b1^t)) / (sqrt(v) / (1 - b2^t) + eps),  t = 1, 2, ...

    (SVRE authors' code; b1 = 0, b2 = 0.9.) The correction divides sqrt(v), not v, as theirs does.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.0, 0.9),
        eps: float = 1e-8,
    ):
        if lr <= 0 or eps <= 0 or not all(0 <= b < 1 for b in betas):
            raise InvalidValue(f"VRAd(lr={lr}, betas={betas}, eps={eps}): expected lr > 0, eps > 0, betas in [0, 1)")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})
        if any(p.is_complex() for group in self.param_groups for p in group["params"]):
            raise InvalidType("VRAd has no step for complex weights: expected real ones, or Adam")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise InvalidValue("VRAd takes no closure: gradients come from an oracle")
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._step(parameters, group)

    def _step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        (b1, b2), gradients = group["betas"], [p.grad for p in parameters if p.grad is not None]
        for p in parameters:
            if not self.state[p]:
                self.state[p] = {"step": 0, "mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
            self.state[p]["step"] += 1
        means = [self.state[p]["mean"] for p in parameters]
        squares = [self.state[p]["square"] for p in parameters]
        torch._foreach_lerp_(means, gradients, 1 - b1)
        torch._foreach_mul_(squares, b2)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - b2)
        for p, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
            t = self.state[p]["step"]
            size = mean.abs().div_(1 - b1**t)
            p.addcdiv_(gradient * size, square.sqrt().div_(1 - b2**t).add_(group["eps"]), value=-group["lr"])
