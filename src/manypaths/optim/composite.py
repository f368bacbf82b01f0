"""Several optimisers of one player as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from manypaths.errors import InvalidType, InvalidValue


class Composite(Optimizer):
    """Optimisers over disjoint parameters that step together: Muon for matrices, AdamW for what is left.

    ``Optimizers({"critic": [Muon(matrices), AdamW(rest)]})`` makes one. Its parameter groups are those of its parts, in
    order, so that learning-rate schedulers reach all of them.
    """

    def __init__(self, parts: Sequence[Optimizer]):
        if not parts:
            raise InvalidValue("there are no optimisers: expected at least one")
        for part in parts:
            if not isinstance(part, Optimizer):
                raise InvalidType(f"a part of the optimiser is {part!r}: expected a torch.optim.Optimizer")
        parameters = [p for part in parts for p in _parameters(part)]
        if len({id(p) for p in parameters}) < len(parameters):
            names = ", ".join(type(part).__name__ for part in parts)
            raise InvalidValue(f"{names} share a parameter, which would move twice: expected parameters of their own")
        super().__init__(parameters, {})
        self.parts = tuple(parts)
        self._join()

    def _join(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]
        self.state = _States(self.parts)  # type: ignore[assignment]

    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise InvalidValue("a composite optimiser takes no closure: gradients come from an oracle")
        for part in self.parts:
            part.step()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if hasattr(self, "parts"):
            raise InvalidValue("a composite optimiser has the parameters of its parts: expected them added to one part")
        super().add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        saved = state_dict.get("parts", ())
        if len(saved) != len(self.parts):
            raise InvalidValue(f"the saved state is of {len(saved)} optimisers: expected {len(self.parts)}")
        for part, state in zip(self.parts, saved, strict=True):
            part.load_state_dict(state)
        self._join()

    def __getstate__(self) -> dict[str, Any]:
        return {"parts": self.parts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Composite.__init__(self, state["parts"])


class _States(MutableMapping[Tensor, Any]):
    """Parameter -> its state, where the part that has the parameter keeps it."""

    def __init__(self, parts: Sequence[Optimizer]):
        self._parts = parts
        self._of = {id(p): part for part in parts for p in _parameters(part)}

    def __getitem__(self, parameter: Tensor) -> Any:
        return self._of[id(parameter)].state[parameter]

    def __setitem__(self, parameter: Tensor, state: Any) -> None:
        self._of[id(parameter)].state[parameter] = state

    def __delitem__(self, parameter: Tensor) -> None:
        del self._of[id(parameter)].state[parameter]

    def __iter__(self) -> Iterator[Tensor]:
        return (parameter for part in self._parts for parameter in part.state)

    def __len__(self) -> int:
        return sum(len(part.state) for part in self._parts)

    def clear(self) -> None:
        for part in self._parts:
            part.state.clear()


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]
