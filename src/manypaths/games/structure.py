"""Who has which weights and buffers: looked up once, and again when something was put in, taken out or frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from manypaths.errors import InvalidType

_TORCHS = {
    name: getattr(nn.Module, name)
    for name in ("parameters", "named_parameters", "modules", "named_modules", "children", "named_children")
}


def batch_coupling_layers(module: nn.Module) -> list[str]:
    """Layers through which one sample's loss depends on the others of its batch: BatchNorm, and dropout's masks."""
    kinds = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    return [f"{type(m).__name__} ({name})" for name, m in module.named_modules() if isinstance(m, kinds)]


def expect_bare(players: Mapping[str, nn.Module]) -> None:
    """Refuse networks that share work by hooks of ``backward``, which ``torch.autograd.grad`` never calls."""
    for name, player in players.items():
        for part in player.modules():
            if found := [kind.__name__ for kind in type(part).__mro__ if kind.__name__ in _BY_HOOKS]:
                raise InvalidType(
                    f"{name} is in {found[0]}, whose hooks no gradient here passes, so that the processes would drift "
                    "apart: expected the network itself (.module), and manypaths.distributed.Distributed(game)"
                )


_BY_HOOKS = ("DistributedDataParallel", "FullyShardedDataParallel", "FSDPModule")


class Structure:
    """The weights of every player, and where the buffers are.

    Walking through modules can take as long as a small network's forward pass; ``holds`` asks every module only
    whether it still has the parts that it had. A module that lists its weights in a way of its own is asked again each
    time.

    Attributes:
        trainable: player -> its weights that require a gradient, in the order of ``Module.parameters()``.
        frozen: the weights of all players that do not.
        places: where the buffers are kept, as from ``buffer_places``.
    """

    def __init__(self, players: Mapping[str, nn.Module]):
        weights = {name: list(module.parameters()) for name, module in players.items()}
        self.trainable = {name: [p for p in found if p.requires_grad] for name, found in weights.items()}
        self._weights = [p for found in weights.values() for p in found]
        self.frozen = [p for p in self._weights if not p.requires_grad]
        self.places = buffer_places(players.values())
        self._modules = list(dict.fromkeys(part for player in players.values() for part in player.modules()))
        self._foreign = any(getattr(type(m), name) is not way for m in self._modules for name, way in _TORCHS.items())
        self._seen = self._look(players)
        self._apart: bool | None = None

    @property
    def device(self) -> torch.device:
        """Of the first weight."""
        return self._weights[0].device

    def apart(self, buffers: list[torch.Tensor]) -> bool:
        """Whether each trainable weight has memory of its own, in which nothing else lies that a module holds.

        Looked up once until the next ``holds``.
        """
        if self._apart is None:
            own = [p for found in self.trainable.values() for p in found]
            beside = [value for m in self._modules for value in vars(m).values() if isinstance(value, torch.Tensor)]
            places, others = _storages(own), _storages([*self.frozen, *buffers, *beside])
            self._apart = len(set(places)) == len(own) and set(places).isdisjoint(others)
        return self._apart

    def holds(self, players: Mapping[str, nn.Module]) -> bool:
        """Whether looking again would find the same."""
        self._apart = None
        return not self._foreign and self._look(players) == self._seen

    def _look(self, players: Mapping[str, nn.Module]) -> list[Any]:
        """The players' modules, their parts and who is frozen, by identity."""
        seen: list[Any] = [*players, *map(id, players.values())]
        for module in self._modules:
            for parts in (module._modules, module._parameters, module._buffers):
                seen.append(len(parts))
                if parts:
                    seen.extend(map(id, parts.values()))
            seen.extend(module._buffers.keys())
        seen.extend(p.requires_grad for p in self._weights)
        return seen


def _storages(tensors: Sequence[torch.Tensor]) -> list[int]:
    """Where they lie; a sparse one lies nowhere."""
    return [t.untyped_storage().data_ptr() for t in tensors if t.layout is torch.strided]


def buffer_places(players: Iterable[nn.Module]) -> list[tuple[dict[str, Any], str]]:
    """Where the players keep their buffers, a shared one once.

    Not the tensors themselves: ``self.scale = 0.9 * self.scale + ...`` in a forward pass puts another one there.
    """
    seen: set[int] = set()
    found: list[tuple[dict[str, Any], str]] = []
    for module in dict.fromkeys(part for player in players for part in player.modules()):
        for name, buffer in module._buffers.items():
            if buffer is not None and id(buffer) not in seen:
                seen.add(id(buffer))
                found.append((module._buffers, name))
    return found


UNLISTED = "unlisted:"
"""Before the names of buffers that are not in a module's own ``state_dict``."""


def complete_state(module: nn.Module) -> dict[str, Any]:
    """Weights and all buffers, also those that a module does not list in its own ``state_dict``."""
    state = module.state_dict()
    extra = {f"{UNLISTED}{key}": buffer for key, buffer in module.named_buffers() if key not in state}
    return {**state, **extra}


def load_complete_state(module: nn.Module, state: Mapping[str, Any]) -> None:
    """The inverse of ``complete_state``."""
    listed = {key: value for key, value in state.items() if not key.startswith(UNLISTED)}
    module.load_state_dict(listed)
    for key, buffer in module.named_buffers():
        if key not in listed:
            buffer.copy_(state[f"{UNLISTED}{key}"])
