"""The contract of a game: players, and a loss that each of them minimises."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from manypaths.errors import unknown_name
from manypaths.games.computation import Computation
from manypaths.games.findings import Finding
from manypaths.games.noise import seed_of, seeded, tensors_in
from manypaths.games.returned import expect_losses
from manypaths.games.structure import Structure, buffer_places, complete_state, load_complete_state
from manypaths.sources.sample import mapped
from manypaths.vectors import Gradients, Point, clone, copy_, owned, swap_back, swap_parameters


class Game(ABC):
    """A differentiable game: every player minimises its own loss over its own weights.

    A concrete game sets ``players`` (ordered) and writes ``losses``. The vector field
    F(w; s) = (grad_{w_1} L_1, ..., grad_{w_k} L_k) and the moves of the iterate are derived and never overridden.
    """

    players: Mapping[str, nn.Module]
    couples_samples: bool = False
    """Whether a batch's loss is more than the mean of its samples' losses (BatchNorm, relativistic averages)."""
    projections: Mapping[str, Callable[[Sequence[Tensor]], None]] = MappingProxyType({})
    """Player -> what moves its weights, in place, to the nearest point of the set that they are confined to."""
    execution: Computation = Computation()
    """How evaluations are computed: by torch as it stands, or as an ``Execution`` says that was prepared for it."""

    @abstractmethod
    def losses(self, sample: Any, players: tuple[str, ...]) -> dict[str, Tensor]:
        """The scalar losses of the named players on one batch; nothing else need be computed."""

    looks: ClassVar[bool] = False
    """Whether ``check`` wants to see a sample."""

    def check(self, sample: Any, *, declared: bool = False) -> list[Finding]:
        """What does not fit a sample is refused, and likely mistakes are returned; ``Training`` asks once."""
        return []

    @property
    def unwrapped(self) -> Game:
        """The game that is played, where this one only says by whom it is evaluated (``Distributed``)."""
        return self

    # ---- derived -------------------------------------------------------------------------------------------------

    def parameters(self, player: str) -> list[nn.Parameter]:
        """The trainable parameters of one player."""
        if self._unchanging:
            return list(self._structure.trainable[player])
        return [p for p in self.players[player].parameters() if p.requires_grad]

    def buffers(self) -> list[Tensor]:
        """Hidden forward state of all players: BatchNorm statistics, spectral-norm vectors."""
        places = self._structure.places if self._unchanging else buffer_places(self.players.values())
        return [owner[name] for owner, name in places]

    _known: Structure | None = None
    _unchanging = False

    @property
    def _structure(self) -> Structure:
        """What is known inside ``unchanging``, else what is to be seen now."""
        return self._known if self._unchanging and self._known else Structure(self.players)

    @contextlib.contextmanager
    def unchanging(self) -> Iterator[bool]:
        """Inside, who has which weights and buffers is taken to stay as it was at the beginning.

        Yields whether that may be another structure than the last time.
        """
        anew = self._known is None or not self._known.holds(self.players)
        if anew:
            self._known = Structure(self.players)
        outer, self._unchanging = self._unchanging, True
        try:
            yield anew
        finally:
            self._unchanging = outer

    def __getstate__(self) -> dict[str, Any]:
        """A copy looks for itself."""
        return {key: value for key, value in vars(self).items() if key not in ("_known", "_unchanging")}

    @property
    def device(self) -> torch.device:
        """Where the first weight is."""
        if self._unchanging:
            return self._structure.device
        return next(p.device for module in self.players.values() for p in module.parameters())

    def names(self, players: Iterable[str] | None = None) -> tuple[str, ...]:
        """``players`` (default: all) as a tuple, each one known."""
        names = tuple(self.players if players is None else players)
        for name in names:
            if name not in self.players:
                raise unknown_name("player", name, self.players)
        return names

    def gradients(self, sample: Any, players: Iterable[str] | None = None, *, moves_buffers: bool = False) -> Gradients:
        """F(w; sample) for the named players.

        Random numbers that a loss or a layer draws from torch's global generator (dropout, a user's own noise) are a
        function of the sample, so that they repeat at a second point; the generator itself is left alone.

        Unless ``moves_buffers``, BatchNorm statistics and power-iteration vectors are put back afterwards, so that
        equal weights, buffers and samples give equal gradients. A parametrised weight (spectral norm) is computed
        once per evaluation.
        """
        return self._gradients(sample, self.names(players), moves_buffers)

    def _gradients(self, sample: Any, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        """By autograd; a game that knows its field in closed form, or evaluates a stack of games, has its own."""
        return self.execution.gradients(self, sample, names, moves_buffers)

    def evaluation(self, sample: Any, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        """One evaluation inside ``repeating``; two games may be evaluated inside one, side by side."""
        saved = [] if moves_buffers else [b.clone() for b in self.buffers()]
        given = self.spared(self.execution.arranged(sample))
        before = _versions(given) if self._overwrites is None else []
        with self.execution.context(self):
            losses = expect_losses(self.losses(given, names), names)
        if self._overwrites is None:
            self._overwrites = _versions(given) != before
        by_player = self.differentiated(losses, names)
        if saved:
            copy_(self.buffers(), saved)
        return Gradients(by_player, {name: losses[name].detach() for name in names})

    _overwrites: bool | None = None
    """Whether losses write into their sample, as an in-place activation on a network's input does; seen once."""

    def spared(self, sample: Any) -> Any:
        """The sample, or a copy for losses that write into it: a second evaluation must see what the first saw."""
        return sample if self._overwrites is False else mapped(sample, torch.clone)

    def differentiated(self, losses: Mapping[str, Tensor], names: tuple[str, ...]) -> dict[str, list[Tensor | None]]:
        """Each player's gradient of its own loss; the players share a graph."""
        return {name: differentiate(losses[name], self.parameters(name), keep=name != names[-1]) for name in names}

    def point(self, players: Iterable[str] | None = None) -> dict[str, list[Tensor]]:
        """A copy of the joint iterate."""
        return clone({name: self.parameters(name) for name in self.names(players)})

    def move_to(self, point: Point, players: Iterable[str] | None = None, *, members: Tensor | None = None) -> None:
        """Move the iterate in place; storage survives. With a mask, only those ``members`` of a population move."""
        for name in point if players is None else players:
            copy_(self.parameters(name), point[name], members)

    def project(self, players: Iterable[str]) -> None:
        """Put the named players' weights back into their sets, in place.

        After every move by the optimizers, half-steps included (projected extragradient, Korpelevich 1976), wherever a
        rule then moves the weights beyond, and when weights are loaded: no gradient is taken outside.
        """
        for name in players:
            if name in self.projections:
                self.projections[name](self.parameters(name))

    @contextlib.contextmanager
    def at(self, point: Point, buffers: list[Tensor] | None = None, *, borrow: bool = False) -> Iterator[Game]:
        """Stand at another point (and its buffers) for a while; weights and buffers come back.

        ``borrow`` lets the weights be the point's tensors and not copies, where that makes no difference to an
        evaluation. Who moves the weights inside then moves the point.
        """
        here_buffers = [b.clone() for b in self.buffers()]
        parameters = {name: self.parameters(name) for name in self.names(point)}
        borrow = borrow and self._swaps()
        here = swap_parameters(parameters, point) if borrow else clone(parameters)
        try:
            if not borrow:
                self.move_to(point)
            if buffers is not None:
                copy_(self.buffers(), buffers)
            yield self
        finally:
            if borrow:
                swap_back(parameters, here)
            else:
                self.move_to(here)
            copy_(self.buffers(), here_buffers)

    @contextlib.contextmanager
    def swapped_aside(self, players: Iterable[str]) -> Iterator[Point]:
        """Inside, the named players' weights may move; afterwards they are back at what is yielded."""
        own, lends = {name: self.parameters(name) for name in players}, self._swaps()
        start = (
            swap_parameters(own, clone(own)) if lends else clone(own)
        )  # it is the copy that moves: nothing is copied back
        try:
            yield start
        finally:
            if lends:
                swap_back(own, start)
            else:
                self.move_to(start)

    def _swaps(self) -> bool:
        """Not where a graph has the weights' addresses, or a weight shares its memory with something else."""
        return not self.execution.fixed_addresses and self._structure.apart(self.buffers())

    second_order = False
    """Set inside ``differentiated_twice``: losses must then detach nothing that depends on a player's weights."""

    @contextlib.contextmanager
    def differentiated_twice(self) -> Iterator[None]:
        """Losses evaluated inside are differentiated through the field, with respect to every player."""
        self.second_order = True
        try:
            yield
        finally:
            self.second_order = False

    def draws_noise(self, sample: Any) -> bool:
        """Whether an evaluation draws from torch's global generator.

        Such noise is one stream for the whole batch, so it couples the samples like BatchNorm does.
        """
        with self.repeating(sample) as drew:
            self.evaluation(sample, self.names(), False)
            return drew()

    @contextlib.contextmanager
    def unmoved(self, sample: Any) -> Iterator[None]:
        """``repeating``, and whatever buffers a forward pass moves inside come back."""
        saved = [b.clone() for b in self.buffers()]
        try:
            with self.repeating(sample):
                yield
        finally:
            copy_(self.buffers(), saved)

    @contextlib.contextmanager
    def evaluating(self, sample: Any) -> Iterator[None]:
        """What ``losses`` is called in: ``repeating``, and the way of computing that was chosen."""
        with self.repeating(sample), self.execution.context(self):
            yield

    @contextlib.contextmanager
    def repeating(self, sample: Any) -> Iterator[Callable[[], bool]]:
        """Inside, noise is a function of the sample, and a parametrised weight is computed once.

        Yields whether any noise was drawn so far.
        """
        with seeded(seed_of(sample), self.device) as drew, parametrize.cached(), torch.enable_grad():
            yield drew

    def state_dict(self) -> dict[str, Any]:
        """Weights and all buffers, also those that a module does not list in its own ``state_dict``."""
        return {name: complete_state(module) for name, module in self.players.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, module in self.players.items():
            load_complete_state(module, state[name])
        self.project(self.projections)  # they may come from a game without the constraint


def differentiate(loss: Tensor, parameters: Sequence[Tensor], *, keep: bool) -> list[Tensor | None]:
    """One player's gradient, ``None`` where there is none; ``keep`` the graph for the next player.

    Outside autocast, which is for forward passes: each backward operation has the dtype of its forward one.
    """
    if not parameters or not loss.requires_grad:
        return [None] * len(parameters)
    with torch.autocast(loss.device.type, enabled=False):
        return owned(torch.autograd.grad(loss, parameters, retain_graph=keep, allow_unused=True))


def _versions(sample: Any) -> list[int]:
    return [tensor._version for tensor in tensors_in(sample) if not tensor.is_inference()]
