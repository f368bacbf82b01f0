"""Everything that is random in one evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from manypaths.errors import InvalidValue

S = TypeVar("S", bound="Sample")


@dataclass(frozen=True)
class Sample:
    """Everything that is random in one evaluation: tensors with one common leading dimension.

    Subclasses add fields; a field may be ``None``. Evaluating the same sample at two points uses the same data, the
    same latents and the same noise, which is what makes a control variate of it.
    """

    def __post_init__(self) -> None:
        sizes = {name: len(t) for name, t in self.tensors().items()}
        if len(set(sizes.values())) > 1:
            raise InvalidValue(f"{type(self).__name__}: leading dimensions differ: {sizes}")

    def tensors(self) -> dict[str, Tensor]:
        """The fields that hold a tensor."""
        return {name: t for name in self.__dataclass_fields__ if (t := getattr(self, name)) is not None}

    def _map(self: S, function: Callable[[Tensor], Tensor]) -> S:
        return type(self)(**{name: function(t) for name, t in self.tensors().items()})

    def __len__(self) -> int:
        return len(next(iter(self.tensors().values())))

    def __getitem__(self: S, index: Any) -> S:
        return self._map(lambda t: t[index])

    def to(self: S, device: torch.device | str) -> S:
        return self._map(lambda t: t.to(device))


def mapped(sample: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """A sample, or any nesting of tuples, lists and mappings, with its tensors replaced."""
    if isinstance(sample, Tensor):
        return function(sample) if sample.ndim else sample
    if isinstance(sample, Sample):
        return sample._map(function)
    if isinstance(sample, Mapping):
        return {key: mapped(part, function) for key, part in sample.items()}
    if type(sample) in (tuple, list):
        return type(sample)(mapped(part, function) for part in sample)
    return sample
