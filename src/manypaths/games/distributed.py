"""One game on many processes, each of which evaluates its share of every batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from manypaths.errors import InvalidType
from manypaths.games.base import Game
from manypaths.games.execution import Execution
from manypaths.games.vectors import Gradients, copy_, present, scale_


class Distributed(Game):
    """A game whose batches are dealt out to the processes of a ``torch.distributed`` group.

        F(w; s) = sum_r (n_r / n) F(w; s_r),

    with s_r the r-th of the equal consecutive shares of the n samples of s. Every process holds the whole game, draws
    the same samples from the same seeds and takes the same steps, so that any rule, oracle and optimiser works
    unchanged and nothing but gradients travels: explicitly, because a gradient that ``autograd.grad`` hands out never
    passes through the hooks of ``DistributedDataParallel``. A full pass reduces once, at its end.

    Where a loss is a mean over independent samples, k processes take the steps of one (to rounding). Where the game
    ``couples_samples`` the shares are what is coupled: BatchNorm normalises by the statistics of a process's own share;
    its running statistics are averaged after every evaluation that moves them.

    Args:
        game: the same on every process, initial weights included.
        group: the processes; all of them by default.
    """

    def __init__(self, game: Game, *, group: dist.ProcessGroup | None = None):
        if not dist.is_initialized():
            raise InvalidType(
                "there is no process group: start with torchrun and call torch.distributed.init_process_group first"
            )
        if game.seeds is not None:
            raise InvalidType("a Population is one process's: expected a game alone")
        self.game, self.group = game, group
        self.rank, self.processes = dist.get_rank(group), dist.get_world_size(group)
        self.players, self.projections = game.players, game.projections

    def __getattr__(self, name: str) -> Any:
        """Whatever else the game offers."""
        if name.startswith("_") or name == "game":
            raise AttributeError(name)
        return getattr(self.game, name)

    @property
    def couples_samples(self) -> bool:  # type: ignore[override]
        return self.game.couples_samples

    @couples_samples.setter
    def couples_samples(self, value: bool) -> None:  # type: ignore[override]
        self.game.couples_samples = value

    @property
    def execution(self) -> Execution:  # type: ignore[override]
        return self.game.execution

    @execution.setter
    def execution(self, value: Execution) -> None:  # type: ignore[override]
        self.game.execution = value

    def losses(self, sample: Any, players: tuple[str, ...]) -> dict[str, Tensor]:
        """Of the whole sample, on every process."""
        return self.game.losses(sample, players)

    def evaluating(self, sample: Any) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return self.game.evaluating(sample)

    @contextlib.contextmanager
    def differentiated_twice(self) -> Iterator[None]:
        with self.game.differentiated_twice():
            yield

    @contextlib.contextmanager
    def unchanging(self) -> Iterator[None]:
        with super().unchanging(), self.game.unchanging():
            yield

    def share(self, sample: Any) -> tuple[Any, float]:
        """This process's share of a batch, and what its gradient counts in the mean over the processes."""
        n = len(sample)
        first, last = self.rank * n // self.processes, (self.rank + 1) * n // self.processes
        if first == last:  # fewer samples than processes: evaluated all the same, so that the gradients have a form
            return sample[:1], 0.0
        return sample[first:last], (last - first) * self.processes / n

    def partial_gradients(self, sample: Any, players: Any = None, *, moves_buffers: bool = False) -> Gradients:
        share, weight = self.share(sample)
        part = self.game.gradients(share, players, moves_buffers=moves_buffers)
        if weight != 1.0:
            for name in part:
                scale_(part[name], weight)
                part.losses[name] = part.losses[name] * weight
        if moves_buffers:
            buffers = [b for b in self.buffers() if b.is_floating_point()]
            copy_(buffers, self._average(buffers))
        return part

    def combine(self, part: Gradients) -> Gradients:
        tensors = [t for name in part for t in present(part[name])]
        found = iter(self._average(tensors + [part.losses[name].reshape(1) for name in part]))
        field = {name: [None if t is None else next(found) for t in part[name]] for name in part}
        return Gradients(field, {name: next(found)[0] for name in part})

    def _gradients(self, sample: Any, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        return self.combine(self.partial_gradients(sample, names, moves_buffers=moves_buffers))

    @torch.no_grad()
    def _average(self, tensors: list[Tensor]) -> list[Tensor]:
        """The means over the processes, as views of one message per dtype."""
        found: dict[int, Tensor] = {}
        for dtype in dict.fromkeys(t.dtype for t in tensors):
            alike = [i for i, t in enumerate(tensors) if t.dtype == dtype]
            message = torch.cat(
                [tensors[i].reshape(-1) for i in alike]
            )  # not in the order of memory: ranks may differ in it
            dist.all_reduce(message, group=self.group)
            message /= self.processes
            pieces = message.split([tensors[i].numel() for i in alike])
            for i, piece in zip(alike, pieces, strict=True):
                found[i] = piece.view(tensors[i].shape)
        return [found[i] for i in range(len(tensors))]
