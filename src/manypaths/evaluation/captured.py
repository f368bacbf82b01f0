"""Evaluations of a game as CUDA graphs: hundreds of small kernels in one launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.utils import parametrize

from manypaths.errors import InvalidType
from manypaths.games.base import Game
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients, copy_

WARM_UP = 3
"""Evaluations before a capture, in which libraries choose their kernels and allocate what they keep."""


class Captured:
    """Records an evaluation, forward and backward, once per form, and from then on replays it.

    A form is the players asked for, whether buffers move, the shapes of the sample and the modes of the modules. A
    graph reads weights and buffers where they lie: a captured game's weights only move in place, so it serves the
    iterate, the extrapolated point and, inside ``Game.at``, the snapshot. The sample is copied to where the graph reads
    it, and what it writes is copied before it is handed out.

    Noise from torch's global generator and whatever waits for the device (``Lazy`` counts its chosen samples) cannot
    be captured.
    """

    def __init__(self, game: Game):
        self.game = game
        self._forms: dict[Any, tuple[Sample, Callable[[], None], Gradients]] = {}
        self._pool: Any = None

    @classmethod
    def of(cls, game: Game) -> Captured:
        """The one that belongs to a game, with its graphs."""
        kept = vars(game).get("_captured")
        if kept is None or kept.game is not game:  # a copy of a game carries the original's
            kept = vars(game)["_captured"] = cls(game)
        return kept

    def __call__(self, sample: Any, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        form = self._form(sample, names, moves_buffers)
        if form not in self._forms:
            self._forms[form] = self._prepared(sample, names, moves_buffers)
        static, replay, found = self._forms[form]
        copy_(list(static.tensors().values()), list(sample.tensors().values()))
        replay()
        gradients = {name: [None if g is None else g.clone() for g in found[name]] for name in found}
        return Gradients(gradients, {name: found.losses[name].clone() for name in found})

    def record(self, evaluate: Callable[[], Gradients]) -> tuple[Callable[[], None], Gradients]:
        """What repeats the evaluation, and the tensors into which it writes: the recipe of torch's CUDA-graph notes."""
        current, side = torch.cuda.current_stream(self.game.device), torch.cuda.Stream(self.game.device)
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                evaluate()
        current.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            found = evaluate()
        self._pool = graph.pool()  # one for all forms: no two run at once, and what they write is copied first
        return graph.replay, found

    def _prepared(
        self, sample: Any, names: tuple[str, ...], moves_buffers: bool
    ) -> tuple[Sample, Callable[[], None], Gradients]:
        game = self.game
        if not self._forms and game.draws_noise(sample):
            raise InvalidType(
                "capture is True and this game draws from torch's global generator (dropout, noise of its own), "
                "which a graph does not seed: expected False"
            )
        static = sample._map(lambda t: t.to(game.device, copy=True))
        lying, buffers = game.buffers(), [b.clone() for b in game.buffers()]

        def evaluate() -> Gradients:
            with torch.enable_grad(), parametrize.cached():
                return game.evaluation(static, names, moves_buffers)

        try:
            replay, found = self.record(evaluate)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise InvalidType(f"capture is True and this game cannot be captured ({reason}): expected False") from error
        if any(old is not new for old, new in zip(lying, game.buffers(), strict=True)):
            raise InvalidType(
                "capture is True and a forward pass assigns a buffer anew, where a graph would never read it: expected "
                "False, or a buffer that is written in place (buffer.copy_(...))"
            )
        copy_(game.buffers(), buffers)  # as if nothing had been tried
        return static, replay, found

    def _form(self, sample: Any, names: tuple[str, ...], moves_buffers: bool) -> Any:
        if not isinstance(sample, Sample):
            raise InvalidType(f"capture is True and a sample is a {type(sample).__name__}: expected a Sample")
        shapes = tuple((name, tensor.shape, tensor.dtype) for name, tensor in sample.tensors().items())
        modes = tuple(m.training for player in self.game.players.values() for m in player.modules())
        return names, moves_buffers, shapes, modes
