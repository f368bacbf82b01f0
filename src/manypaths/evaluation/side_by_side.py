"""Two evaluations at once: the iterate and the snapshot, or two chunks of a full pass."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from manypaths.evaluation.shadow import shadow_copy
from manypaths.evaluation.two_at_once import both
from manypaths.games.base import Game
from manypaths.games.capabilities import partial_gradients
from manypaths.randomness import generator_for
from manypaths.vectors import Gradients, Point, add_, squared_norm

WORTH = 60_000_000
"""Multiplications in the convolutions of one forward pass below which concurrency does not pay: smaller networks wait
for the interpreter's lock, and matrix products fill two threads by themselves."""


class SideBySide:
    """Evaluates a game twice at once, where that is possible and of use; else one after the other.

    On a CPU with k threads each evaluation is a Python thread with k / 2 of them: layers of moderate size do not fill
    two threads, and autograd releases the interpreter's lock. On a GPU each evaluation is a stream.
    Games with little to convolve are left alone on a CPU (``WORTH``).

    It takes a second set of modules, a shadow copy. A shadow copy is trusted when it has been seen, on the first sample
    and away from the iterate, to give the gradients that moving the weights gives, and to leave the game's buffers
    alone. A game that draws from torch's global generator is never evaluated concurrently, for that generator is one.
    Neither has one whose networks are compiled (a shadow copy would run the original, which is found out) or captured
    (a graph has the addresses of one).
    """

    def __init__(self, game: Game):
        self.game, self.execution = game, game.execution
        self._trusted: bool | None = None

    @classmethod
    def of(cls, game: Game) -> SideBySide:
        """The one that belongs to a game and to its way of computing: it is tried once."""
        kept = vars(game).get("_side_by_side")
        # a copy of a game carries the original's
        if kept is None or kept.game is not game or kept.execution is not game.execution:
            kept = vars(game)["_side_by_side"] = cls(game)
        return kept

    def here_and_there(
        self,
        sample: Any,
        names: tuple[str, ...],
        point: Point,
        buffers: Sequence[Tensor],
        there: tuple[str, ...],
        *,
        moves_buffers: bool,
    ) -> tuple[Gradients, Gradients]:
        """F(w; sample) for ``names`` and F(point; sample) for the players ``there``; this process's part of both."""
        game = self.game
        shadow = shadow_copy(game, point, [b.clone() for b in buffers]) if self.available(sample) else None
        if shadow is None:
            now = partial_gradients(game, sample, names, moves_buffers=moves_buffers)
            with game.at(point, list(buffers), borrow=True):
                return now, partial_gradients(game, sample, there)
        with game.repeating(sample):
            return both(
                partial(game.evaluation, sample, names, moves_buffers),
                partial(shadow.evaluation, sample, there, True),
                game.device,
            )

    def each(
        self, chunks: Iterable[Any], names: tuple[str, ...], *, moves_buffers: bool = False
    ) -> Iterator[tuple[Any, Gradients]]:
        """Chunk by chunk, in order: the chunk and F(w; chunk), this process's part; the last one may move buffers."""
        game, rest = self.game, marked(chunks)
        for first, last in rest:
            concurrent = not last and self.available(first)
            shadow = shadow_copy(game, here(game), [b.clone() for b in game.buffers()]) if concurrent else None
            if shadow is None:
                yield first, partial_gradients(game, first, names, moves_buffers=moves_buffers and last)
                continue
            second, last = next(rest)
            with game.repeating(first):
                found = both(
                    partial(game.evaluation, second, names, moves_buffers and last),
                    partial(shadow.evaluation, first, names, True),
                    game.device,
                )
            yield first, found[1]
            yield second, found[0]

    def available(self, sample: Any) -> bool:
        """Whether two evaluations run at once here; tries it on the first sample."""
        game = self.game
        off = game.execution.concurrent == "off" or game.execution.fixed_addresses
        if off or (game.device.type != "cuda" and torch.get_num_threads() < 2):
            return False
        if self._trusted is None:
            self._trusted = (game.device.type == "cuda" or _convolved(game, sample) >= WORTH) and self._tried(sample)
        return self._trusted

    def _tried(self, sample: Any) -> bool:
        """Whether the field at a point some per cent away is the same by a shadow copy and by moving the weights."""
        game, generator = self.game, generator_for(0, "shadow copy")
        point = {
            name: [p + 0.1 * p.abs().mean() * _normal(p, generator) for p in weights]
            for name, weights in game.point().items()
        }
        buffers = [b.clone() for b in game.buffers()]
        shadow = shadow_copy(game, point, [b.clone() for b in buffers])
        if shadow is None:
            return False
        with game.at(point):
            moved = game.gradients(sample)
        with game.repeating(sample) as drew:
            game.evaluation(sample, game.names(), False)  # what it leaves behind must not reach the shadow copy
            beside = shadow.evaluation(sample, game.names(), True)
            if drew():
                return False
        for name in moved:
            size = squared_norm(moved[name])
            add_(beside[name], moved[name], -1.0)
            if not squared_norm(beside[name]) <= 1e-10 * size:
                return False
        return all(torch.equal(b, saved) for b, saved in zip(game.buffers(), buffers, strict=True))


def marked(chunks: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
    """Each chunk, and whether it is the last, which alone may move buffers.

    The others must not see moved ones: a spectral norm would differ from one chunk to the next.
    """
    rest = iter(chunks)
    chunk = next(rest, None)
    while chunk is not None:
        following = next(rest, None)
        yield chunk, following is None
        chunk = following


def here(game: Game) -> Point:
    """The joint iterate itself, not a copy."""
    return {name: [p.detach() for p in game.parameters(name)] for name in game.players}


def _convolved(game: Game, sample: Any) -> int:
    """Multiplications in the convolutions of a forward pass."""
    total = 0

    def count(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += (inputs[0] if module.transposed else output).numel() * module.weight[0].numel()

    with contextlib.ExitStack() as stack:
        for player in game.players.values():
            for module in player.modules():
                if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                    stack.callback(module.register_forward_hook(count).remove)
        game.gradients(sample)
    return total


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.device, like.dtype)
