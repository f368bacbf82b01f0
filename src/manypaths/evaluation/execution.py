"""How a game is evaluated: what changes the speed and the rounding of a field, and not what it stands for."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue
from manypaths.evaluation.captured import Captured
from manypaths.evaluation.kernels import TunedConvolutions
from manypaths.games.adversarial import Adversarial
from manypaths.games.analytic.base import AnalyticGame
from manypaths.games.base import Game
from manypaths.games.capabilities import Stacked
from manypaths.games.computation import Computation
from manypaths.games.structure import batch_coupling_layers
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients


@dataclass(frozen=True)
class Execution(Computation):
    """The way of computing: by torch, in a precision and a memory order of choice, compiled or captured or neither.

    Attributes:
        precision: ``"bfloat16"`` runs forward passes under autocast; weights, penalties, losses, spectral norms and
            everything the rules do with gradients stay as they are. A mini-batch gradient then has an error of several
            per cent.
        memory: the order of images in memory and of the weights that meet them. ``"auto"`` is ``"channels_last"`` on a
            GPU where the networks have two-dimensional convolutions, and elsewhere leaves all as it is.
        compile: run the players' forward passes through ``torch.compile``; penalties, which differentiate twice, and
            evaluations of a run's generator stay eager. Such players are never evaluated concurrently.
        capture: replay each evaluation as one CUDA graph (``Captured``), one evaluation at a time; a GPU only.
        concurrent: ``"auto"`` evaluates the iterate and the snapshot side by side where that is possible
            and of use: on two or more threads, each evaluation with its part of them, or on two streams of a GPU.
        critic_pass: whether the critic sees real and fake data in one pass, where none of its layers couples samples;
            ``"auto"``: on a GPU.
        kernels: ``"tuned"`` times other routes to a convolution on the shapes it meets and keeps the fastest (see
            ``TunedConvolutions``); equal up to rounding, and different from machine to machine.
    """

    precision: Literal["full", "bfloat16"] = "full"
    memory: Literal["auto", "contiguous", "channels_last"] = "auto"
    compile: bool = False
    capture: bool = False
    concurrent: Literal["auto", "off"] = "auto"
    critic_pass: Literal["auto", "joint", "separate"] = "auto"
    kernels: Literal["stock", "tuned"] = "stock"
    _tuned: TunedConvolutions = field(default_factory=TunedConvolutions, init=False, repr=False, compare=False)

    backend: ClassVar[str] = "inductor"
    """What ``torch.compile`` compiles with."""

    def __post_init__(self) -> None:
        fields.check(self)

    def expect_device(self, kind: str) -> None:
        """Refuse a device that cannot do this."""
        if self.capture and kind != "cuda":
            raise InvalidValue(f"capture is True and the device is {kind!r}: CUDA graphs need 'cuda', expected False")

    def prepare(self, game: Game) -> str | None:
        """Evaluate the game like this from now on; what ``"auto"`` chose on a GPU, and why, in words.

        Once, when the game is where it stays and before its optimisers are made: their states take over the order of
        the weights in memory.
        """
        self.expect_device(game.device.type)
        self._expect_effect(game)
        memory = self.memory
        if memory == "auto" and game.device.type == "cuda" and _has_images(game):
            memory = "channels_last"
        for module in game.players.values():
            if memory != "auto":
                module.to(memory_format=_FORMATS[memory])  # type: ignore[call-overload]
            if self.compile:
                module.compile(backend=type(self).backend)
        game.execution = self if memory == self.memory else dataclasses.replace(self, memory=memory)
        return self._note(memory) if game.device.type == "cuda" else None

    def joins(self, device: torch.device) -> bool:
        """Whether the critic's two passes are one, where they can be."""
        return self.critic_pass == "joint" or (self.critic_pass == "auto" and device.type == "cuda")

    @property
    def fixed_addresses(self) -> bool:  # type: ignore[override]
        return self.capture

    def gradients(self, game: Game, sample: Any, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        if self.capture:
            return Captured.of(game)(sample, names, moves_buffers)
        return super().gradients(game, sample, names, moves_buffers)

    @contextlib.contextmanager
    def context(self, game: Game) -> Iterator[None]:
        """What a forward pass of the game runs in."""
        with contextlib.ExitStack() as stack:
            if self.precision == "bfloat16":
                compute_parametrised(game)
                stack.enter_context(uncached_autocast(game.device.type, torch.bfloat16))
            if self.kernels == "tuned":
                stack.enter_context(self._tuned)
            yield

    def state_dict(self) -> dict[str, Any]:
        """The choices that were made by timing: a resumed run keeps them, for they decide how it rounds."""
        return self._tuned.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._tuned.load_state_dict(state)

    def arranged(self, sample: Any) -> Any:
        """The sample with its images in the order that the networks read them in."""
        if self.memory != "channels_last" or not isinstance(sample, Sample):
            return sample
        return sample._map(_channels_last)

    def _expect_effect(self, game: Game) -> None:
        """Every setting does something here."""
        plain = dataclasses.replace(self, concurrent="auto") == Execution()
        if not plain and (isinstance(game, (Stacked, AnalyticGame))):
            raise InvalidType(f"{type(game).__name__} computes its field in a way of its own: expected Execution()")
        if self.compile and self.kernels == "tuned":
            raise InvalidValue("kernels is 'tuned' and compile is True, which chooses its own: expected 'stock'")
        if self.critic_pass == "joint":
            _expect_separable_critic(game)
        if self.kernels == "tuned" and 4 not in _dimensions(game):
            raise InvalidValue(
                "kernels is 'tuned' and no player has weights of 4 dimensions, which two-dimensional convolutions "
                "have: expected 'stock'"
            )
        if self.memory == "channels_last" and not _has_images(game):
            raise InvalidValue("memory is 'channels_last' and no player has weights of 4 dimensions: expected 'auto'")
        wide = next((n for n in game.players for p in game.parameters(n) if p.dtype == torch.float64), None)
        if self.precision == "bfloat16" and wide is not None:
            raise InvalidValue(
                f"precision is 'bfloat16' and {wide!r} has float64 weights, which it leaves alone: expected 'full'"
            )

    def _note(self, memory: str) -> str | None:
        """What was left to this class on a GPU: safe choices, which change nothing but rounding."""
        chosen = []
        if memory != self.memory:
            chosen.append(f"memory is {memory}, the order in which its convolutions read images")
        if self.concurrent == "auto" and not (self.compile or self.capture):
            chosen.append("what can be evaluated in pairs is, on two streams, for small networks do not fill it")
        if self.critic_pass == "auto":
            chosen.append("real and fake data share the critic's pass where no layer couples samples")
        if self.precision == "full":
            chosen.append("precision is full, with TF32 as torch has it, for bfloat16 is no matter of rounding")
        return f"on the GPU {'; '.join(chosen)}" if chosen else None


_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def _has_images(game: Game) -> bool:
    """Whether channels_last, an order of four dimensions, is one for these networks."""
    dimensions = _dimensions(game)
    return 4 in dimensions and 5 not in dimensions


def _dimensions(game: Game) -> set[int]:
    """Of all weights."""
    return {p.ndim for module in game.players.values() for p in module.parameters()}


def _expect_separable_critic(game: Game) -> None:
    """Real and fake data share a pass only where no layer of the critic couples samples."""
    if not isinstance(game.unwrapped, Adversarial):
        kind = type(game.unwrapped).__name__
        raise InvalidValue(f"critic_pass is 'joint' and {kind} has no critic that this reaches: expected 'auto'")
    if layers := batch_coupling_layers(game.players["critic"]):
        raise InvalidValue(
            f"critic_pass is 'joint' and the critic's {layers[0]} couples the samples of a batch, so that real and "
            "fake data are never joined: expected 'auto' or 'separate'"
        )


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def compute_parametrised(game: Game) -> None:
    """Compute parametrised weights (spectral norms) now; ``parametrize.cached`` keeps them for the evaluation.

    Under autocast a power iteration would run in half precision, and penalties would meet its weights.
    """
    for player in game.players.values():
        for module in player.modules():
            if parametrize.is_parametrized(module):
                for name in module.parametrizations:  # type: ignore[union-attr]
                    getattr(module, name)


def uncached_autocast(device: str, dtype: torch.dtype) -> torch.autocast:
    """Autocast that rounds a weight anew wherever it is used.

    Its cache belongs to the process, and the first evaluation to finish would empty it under the other: that
    evaluation's sums over several uses of a weight would be in bfloat16 or in float32, as it happens.
    """
    return torch.autocast(device, dtype, cache_enabled=False)
