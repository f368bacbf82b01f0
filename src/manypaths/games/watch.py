"""Says once that a loss is no number any more, to loops that do not look themselves."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

from torch import Tensor

EVERY = 100
"""Steps between two looks at losses that are on a GPU, where each look waits for the device."""


class Watch:
    """The losses of the step before; they are read before the next one, so that whoever stops hears nothing."""

    def __init__(self) -> None:
        self.losses: Mapping[str, Tensor] | None = None
        self._said = False

    def look(self, steps: int) -> None:
        """Warn, once, where a loss is not finite: weights that are NaN stay so."""
        if self._said or self.losses is None:
            return
        for name, loss in self.losses.items():
            if loss.device.type != "cpu" and steps % EVERY:
                return
            if not math.isfinite(value := loss.item()):
                self._said = True
                warnings.warn(
                    f"after {steps} steps the loss of {name} is {value}, and training goes on with it: stop where "
                    "training.non_finite(info) says so, and take smaller steps or look at the losses",
                    RuntimeWarning,
                    stacklevel=4,
                )
                return
