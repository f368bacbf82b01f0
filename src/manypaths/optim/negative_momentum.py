"""Heavy-ball gradient descent whose momentum may be negative (Gidel et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from torch import Tensor
from torch.optim import SGD

from manypaths import fields


class NegativeMomentumSGD(SGD):
    """v <- beta v + g,  w <- w - lr v: torch's SGD with beta in (-1, 1), which torch's own refuses below 0.

    With alternating play a negative beta damps the rotation of bilinear games (Gidel et al. 2019, "Negative momentum
    for improved game dynamics"). For beta >= 0 it equals ``torch.optim.SGD(momentum=beta)`` bit for bit.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: fields.Positive = 1e-3,
        momentum: Annotated[float, fields.Bound(above=-1, below=1)] = -0.5,
        weight_decay: fields.NonNegative = 0.0,
    ):
        fields.check_arguments(NegativeMomentumSGD, locals())
        groups: list[Any] = list(params)
        if groups and not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        # torch refuses a negative default, but not a group's own value, and its kernels do as the group says
        super().__init__([{"momentum": momentum, **group} for group in groups], lr=lr, weight_decay=weight_decay)
        self.defaults["momentum"] = momentum
