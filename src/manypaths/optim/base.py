"""The optimizers: a stock ``torch.optim`` optimiser per player, or several over weights of their own."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from manypaths.errors import InvalidType, InvalidValue, unknown_name
from manypaths.games.base import Game
from manypaths.games.capabilities import seeds_of
from manypaths.optim.memory import Memory, SecondMemory, opaque
from manypaths.optim.usable import expect_elementwise, usable
from manypaths.vectors import Gradients, copied, lerp_, present, rows

Moments = Literal["shared", "rewind", "separate"]


class Optimizers(Mapping[str, Optimizer]):
    """Player -> optimiser; any torch optimiser works unchanged.

    Args:
        optimizers: one per player, over that player's parameters; a list of several, each over some of them, becomes a
            ``Composite``.
        clip: largest 2-norm of a player's gradient, applied to every gradient that is handed over.
        clip_value: largest absolute value of an entry of a gradient, in the place of ``clip``.
        schedules: learning-rate schedulers by player, advanced once per step of the *rule*.
        rates: by player, the learning rate of each member of a population, (m,), relative to the optimiser's own
            (1 is the optimiser's): each member goes that share of the optimiser's step.
    """

    def __init__(
        self,
        optimizers: Mapping[str, Optimizer | Sequence[Optimizer]],
        *,
        clip: float | None = None,
        clip_value: float | None = None,
        schedules: Mapping[str, LRScheduler] | None = None,
        rates: Mapping[str, Tensor] | None = None,
    ):
        usables = {name: usable(optimizer, name) for name, optimizer in optimizers.items()}
        for what, limit in (("clip", clip), ("clip_value", clip_value)):
            if limit is not None and not 0 < limit < math.inf:
                raise InvalidValue(f"{what} is {limit}: expected a finite number > 0, or none")
        if clip is not None and clip_value is not None:
            raise InvalidValue(f"clip is {clip} and clip_value {clip_value}: expected one of them")
        for name, schedule in (schedules or {}).items():
            if name not in optimizers:
                raise unknown_name("player of a schedule:", name, optimizers)
            if not isinstance(schedule, LRScheduler) or isinstance(schedule, ReduceLROnPlateau):
                kind = type(schedule).__name__
                raise InvalidType(f"the schedule of {name!r} is a {kind}: expected a scheduler that counts steps")
        self._optimizers, self.clip, self.schedules = usables, clip, dict(schedules or {})
        self.clip_value = clip_value
        for name in rates or {}:
            if name not in optimizers:
                raise unknown_name("player of a rate:", name, optimizers)
        self.rates = dict(rates or {})
        self._extrapolation: dict[str, SecondMemory] = {}

    def __getitem__(self, player: str) -> Optimizer:
        return self._optimizers[player]

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizers)

    def __len__(self) -> int:
        return len(self._optimizers)

    def check(self, game: Game) -> None:
        """Every player has an optimiser, which holds all of its parameters."""
        members = len(seeds_of(game) or ())
        for name, rate in self.rates.items():
            if rate.shape != (members,):
                wanted = f"({members},), one per member" if members else "a population: one game has one learning rate"
                raise InvalidValue(f"the rates of {name!r} have shape {tuple(rate.shape)}: expected {wanted}")
        if set(self) != set(game.players):
            raise InvalidValue(
                f"optimizers are for {sorted(self)} and players are {sorted(game.players)}: expected the same"
            )
        owners: dict[int, str] = {}
        for name in game.players:
            for parameter in game.parameters(name):
                if (owner := owners.setdefault(id(parameter), name)) != name:
                    raise InvalidType(
                        f"{owner!r} and {name!r} share a weight of shape {tuple(parameter.shape)}: expected weights of "
                        "their own, for a player minimises its loss over its weights alone"
                    )
        for name, optimizer in self.items():
            held = {id(p) for group in optimizer.param_groups for p in group["params"]}
            if not {id(p) for p in game.parameters(name)} <= held:
                raise InvalidValue(
                    f"the optimiser of {name!r} lacks some of its parameters, which would never move: pass "
                    f"game.parameters({name!r}), or a list of optimisers that have all of them together"
                )
            if members:
                expect_elementwise(optimizer, name)

    def about_decay(self, *, extrapolates: bool) -> list[str]:
        """Under a rule that extrapolates: where a ``weight_decay`` acts, in words."""
        decayed = [
            name for name, optimizer in self.items() if any(g.get("weight_decay") for g in optimizer.param_groups)
        ]
        if not (extrapolates and decayed):
            return []
        return [
            f"weight_decay of {' and '.join(decayed)} acts at w_t and not at the extrapolated point: for the "
            "regularised game leave it out and add a penalty, L2(weight=..., player=...)"
        ]

    def apply(self, game: Game, gradients: Gradients) -> None:
        """One ``optimizer.step()`` per player of ``gradients``, then the game's projection.

        Parameters without a gradient stay untouched.
        """
        for name in gradients:
            parameters = game.parameters(name)
            for parameter, gradient in zip(parameters, gradients[name], strict=True):
                parameter.grad = laid_out(gradient, parameter)
            if self.clip is not None:
                clip = clip_grad_norm_ if seeds_of(game) is None else clip_members_
                clip(parameters, self.clip)
            if self.clip_value is not None:
                clip_grad_value_(parameters, self.clip_value)
            before = [p.detach().clone() for p in parameters] if name in self.rates else None
            self[name].step()
            for parameter in parameters:
                parameter.grad = None
            if before is not None:
                lerp_([p.detach() for p in parameters], before, 1.0 - self.rates[name])
        game.project(gradients)

    def end_step(self) -> None:
        """A step of the rule is over: schedules advance."""
        for schedule in self.schedules.values():
            schedule.step()

    @contextlib.contextmanager
    def extrapolating(self, players: tuple[str, ...], moments: Moments) -> Iterator[None]:
        """Steps inside only extrapolate; ``moments`` says what they leave in the optimisers' states."""
        if moments == "shared":
            yield
            return
        if moments == "rewind":
            memories = [Memory(self[name]) for name in players]
            yield
            for memory in memories:
                memory.restore()
            return
        for name in players:
            self._extrapolation.setdefault(name, SecondMemory(self[name])).enter()
        yield
        for name in players:
            self._extrapolation[name].leave()

    def check_moments(self, moments: Moments) -> None:
        """Refuse an optimiser that remembers what cannot be taken back after a half-step."""
        for name, optimizer in self.items():
            if moments != "shared" and (what := opaque(optimizer)):
                raise InvalidType(
                    f"moments is {moments!r} and the optimiser of {name!r} keeps {what}, which cannot be taken back "
                    "after a half-step: expected moments='shared', or numbers and tensors"
                )

    def state_dict(self) -> dict[str, Any]:
        states: dict[str, Any] = {name: optimizer.state_dict() for name, optimizer in self.items()}
        separate: dict[str, Any] = {}
        for name, memory in self._extrapolation.items():
            memory.enter()
            separate[name] = copied(self[name].state_dict())
            memory.leave()
        schedules = {name: schedule.state_dict() for name, schedule in self.schedules.items()}
        return {"optimizers": states, "extrapolation": separate, "schedules": schedules}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._extrapolation = {}
        for name, optimizer in self.items():
            _load(optimizer, state["optimizers"][name])
        for name, separate in state["extrapolation"].items():
            memory = self._extrapolation[name] = SecondMemory(self[name])
            memory.enter()
            _load(self[name], separate)
            memory.leave()
        for name, schedule in self.schedules.items():
            schedule.load_state_dict(copied(state["schedules"][name]))


def laid_out(gradient: Tensor | None, like: Tensor) -> Tensor | None:
    """The gradient with the strides of its parameter, which ``backward`` sees to and ``autograd.grad`` does not.

    Fused optimisers walk through memory in order and would give each entry the gradient of another; under vmap the
    gradients of weights come transposed.
    """
    if gradient is None or gradient.layout != torch.strided or gradient.stride() == like.stride():
        return gradient
    return torch.empty_like(like, dtype=gradient.dtype).copy_(gradient)


@torch.no_grad()
def clip_members_(parameters: Sequence[Tensor], limit: float) -> None:
    """Scale every member's gradient to a 2-norm of at most ``limit``: torch's ``clip_grad_norm_``, row by row."""
    gradients = present(p.grad for p in parameters)
    if gradients:
        squares = torch.stack([g.reshape(len(g), -1).square().sum(1) for g in gradients]).sum(0)
        scale = (limit / (squares.sqrt() + 1e-6)).clamp_(max=1.0)
        for gradient in gradients:
            gradient.mul_(rows(scale, gradient))


def _load(optimizer: Optimizer, saved: dict[str, Any]) -> None:
    """Every tensor with the strides of its parameter, which may be others than when it was saved (channels_last)."""
    optimizer.load_state_dict(copied(saved))  # torch keeps the tensors of what it is given
    for parameter, entry in optimizer.state.items():
        for key, value in entry.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                entry[key] = laid_out(value, parameter)
