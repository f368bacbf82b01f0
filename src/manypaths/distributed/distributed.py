"""One game on many processes, each of which evaluates its share of every batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from manypaths.distributed.agreement import differing, digest
from manypaths.distributed.shared_memory import SharedMemory
from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.base import Game
from manypaths.games.capabilities import Shared, Stacked
from manypaths.games.computation import Computation
from manypaths.games.noise import tensors_in
from manypaths.games.structure import expect_bare
from manypaths.vectors import Gradients, present, scale_

LARGE = 1 << 16
"""Numbers from which they go through shared memory; and from which a tensor is a message of its own elsewhere, which
saves putting it into one and taking it out again."""


class Distributed(Shared):
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
        game: the same on every process, initial weights included, which is looked at once, as is the first batch.
        group: the processes; all of them by default.
    """

    def __init__(self, game: Game, *, group: dist.ProcessGroup | None = None):
        if not dist.is_initialized():
            raise InvalidType(
                "there is no process group: start with torchrun and call torch.distributed.init_process_group first"
            )
        if isinstance(game, Stacked):
            raise InvalidType("a Population is one process's: expected a game alone")
        self.game, self.group = game, group
        self.rank, self.processes = dist.get_rank(group), dist.get_world_size(group)
        self.players, self.projections = game.players, game.projections
        expect_bare(game.players)
        self._expect_agreement()
        self._memory = SharedMemory(group)
        self._moved = False
        self._agreed, self._seen = False, ""

    def __getattr__(self, name: str) -> Any:
        """Whatever else the game offers."""
        if name.startswith("_") or name == "game":
            raise AttributeError(name)
        return getattr(self.game, name)

    @property
    def unwrapped(self) -> Game:
        return self.game.unwrapped

    @property
    def couples_samples(self) -> bool:  # type: ignore[override]
        return self.game.couples_samples

    @couples_samples.setter
    def couples_samples(self, value: bool) -> None:  # type: ignore[override]
        self.game.couples_samples = value

    @property
    def execution(self) -> Computation:  # type: ignore[override]
        return self.game.execution

    @execution.setter
    def execution(self, value: Computation) -> None:  # type: ignore[override]
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
    def unchanging(self) -> Iterator[bool]:
        with super().unchanging() as anew, self.game.unchanging():
            yield anew

    def share(self, sample: Any) -> tuple[Any, float]:
        """This process's share of a batch, and what its gradient counts in the mean over the processes."""
        n = len(sample)
        first, last = self.rank * n // self.processes, (self.rank + 1) * n // self.processes
        if first == last:  # fewer samples than processes: evaluated all the same, so that the gradients have a form
            return sample[:1], 0.0
        return sample[first:last], (last - first) * self.processes / n

    def partial_gradients(self, sample: Any, players: Any = None, *, moves_buffers: bool = False) -> Gradients:
        share, weight = self.share(sample)
        if not self._agreed:
            self._seen = digest(tensors_in(sample))
        part = self.game.gradients(share, players, moves_buffers=moves_buffers)
        if weight != 1.0:
            for name in part:
                scale_(part[name], weight)
                part.losses[name] = part.losses[name] * weight
        self._moved = self._moved or moves_buffers
        return part

    def _expect_agreement(self) -> None:
        """Weights and buffers are the same everywhere: processes that begin apart would never come together."""
        found = {}
        for name, player in self.game.players.items():
            found[name] = digest([*player.parameters(), *player.buffers()])
        if differs := differing(found, self.group):
            raise InvalidValue(
                f"the weights of {differs[0]!r} are others on process {differs[1]} than on process 0: expected equal "
                "ones everywhere; give torch the same seed on every process before the networks are made"
            )

    def _expect_one_batch(self) -> None:
        """The first batch is the same everywhere, before it is dealt out."""
        self._agreed = True
        if differs := differing({"batch": self._seen}, self.group):
            raise InvalidValue(
                f"process {differs[1]} draws other samples than process 0: expected the whole data and the same seed "
                "of the source on every process, for each batch is dealt out here"
            )

    def combine(self, part: Gradients) -> Gradients:
        if not self._agreed and self._seen:
            self._expect_one_batch()
        buffers = [b for b in self.buffers() if b.is_floating_point()] if self._moved else []
        self._moved = False
        losses = [part.losses[name].reshape(1) for name in part]
        absent = {name: [i for i, g in enumerate(part[name]) if g is None] for name in part}
        exists = [self._filled(name, part, absent[name]) for name in part]
        self._average([t for name in part for t in present(part[name])] + losses + exists + buffers)
        for name, loss, found in zip(part, losses, exists, strict=True):
            part.losses[name] = loss[0]
            for i in absent[name]:  # whose own share used every weight reads nothing back, which would wait for the GPU
                if not found[i] > 0:
                    part[name][i] = None
        return part

    def _filled(self, player: str, part: Gradients, absent: list[int]) -> Tensor:
        """Which weights this process's share used, 1 or 0 each; the others get a gradient of zero.

        Shares may use different weights (an expert that no sample of a share asks for), and every process must send
        the same numbers in the same order.
        """
        exists = torch.ones(len(part[player]), dtype=part.losses[player].dtype, device=part.losses[player].device)
        parameters = self.parameters(player) if absent else []
        for i in absent:
            exists[i] = 0.0
            part[player][i] = torch.zeros_like(parameters[i % len(parameters)])  # several lists may be joined
        return exists

    def _gradients(self, sample: Any, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        return self.combine(self.partial_gradients(sample, names, moves_buffers=moves_buffers))

    def _average(self, tensors: list[Tensor]) -> None:
        """The mean over the processes, in place."""
        for dtype in dict.fromkeys(t.dtype for t in tensors):
            alike = [t for t in tensors if t.dtype == dtype]
            if not (self._shares_memory(alike) and self._memory.mean_(alike)):
                self._send(alike)

    def _shares_memory(self, tensors: list[Tensor]) -> bool:
        """Where it is faster than one message, if it can be had."""
        return self.device.type == "cpu" and sum(t.numel() for t in tensors) >= LARGE

    @torch.no_grad()
    def _send(self, tensors: list[Tensor]) -> None:
        """The mean over the processes, in place: large tensors as they lie, small ones in one message."""
        large = [(t, t.contiguous()) for t in tensors if t.numel() >= LARGE]  # the same order of numbers everywhere
        waiting = [dist.all_reduce(message, group=self.group, async_op=True) for _, message in large]
        if small := [t for t in tensors if t.numel() < LARGE]:
            message = torch.cat([t.reshape(-1) for t in small])
            dist.all_reduce(message, group=self.group)
            parts = message.split([t.numel() for t in small])
            torch._foreach_copy_(small, [p.view(t.shape) for p, t in zip(parts, small, strict=True)])
        for work, (tensor, message) in zip(waiting, large, strict=True):
            assert work is not None
            work.wait()
            if message is not tensor:
                tensor.copy_(message)
        torch._foreach_div_(tensors, float(self.processes))
