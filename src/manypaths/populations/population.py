"""Many games of one kind, stacked: one backward gives every member its own gradient."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from manypaths.errors import InvalidType, InvalidValue
from manypaths.games.analytic.base import AnalyticGame, joined
from manypaths.games.base import Game, differentiate
from manypaths.games.capabilities import ClosedForm, Stacked
from manypaths.games.findings import Finding
from manypaths.games.returned import expect_losses
from manypaths.populations.members import check_members
from manypaths.populations.source import MemberSamples
from manypaths.sources.sample import Sample
from manypaths.vectors import Gradients, Point, copy_

DEFAULT_CHUNK = 128
"""Members evaluated at once: the weights and activations of more small networks fall out of a core's cache."""


class Stack(nn.Module):
    """One player of every member: row i of each stacked tensor is member i's."""

    def __init__(self, modules: Sequence[nn.Module]):
        super().__init__()
        stacked, self.names = [dict(m.named_parameters()) for m in modules], []
        for name, first in stacked[0].items():
            tensor = torch.stack([parameters[name].detach() for parameters in stacked])
            self.register_parameter(_flat_name(name), nn.Parameter(tensor, requires_grad=first.requires_grad))
            self.names.append(name)
        others, self.buffer_names = [dict(m.named_buffers()) for m in modules], []
        for name in others[0]:
            self.register_buffer(_flat_name(name), torch.stack([buffers[name].detach() for buffers in others]))
            self.buffer_names.append(name)

    def tensors(self, rows: slice) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Name in the member's module -> its stacked parameters (leaves of a new graph) and buffers."""
        parameters = {n: self.get_parameter(_flat_name(n)) for n in self.names}
        leaves = {n: p.detach()[rows].requires_grad_(p.requires_grad) for n, p in parameters.items()}
        return leaves, {n: self.get_buffer(_flat_name(n))[rows] for n in self.buffer_names}


class Population(Stacked, ClosedForm):
    """n members of one game, each with weights, samples and coins of its own, advanced together.

    Every rule, elementwise optimiser and average works on the stack as it works on one game. Snapshot and restart
    coins, clipping and divergence are per member, and a member's trajectory equals that of the same game alone:
    ``Training(games[i], SVRG(sources[i], seed=seeds[i]), rule, optimizers, seed=seeds[i])``. Losses are tensors (n,).

    What changes the graph or the schedule (the kind of penalty, betas, critic steps) needs a population of its own;
    numbers in the loss may vary inside one (``vary``), and learning rates too (``Optimizers(rates=...)``).

    Args:
        games: the members; they agree in everything but weights and buffers (the first one's constants, objective
            and penalties are used for all).
        seeds: of the members' coins, by default 0 .. n-1.
        vary: path of a number in the game -> one value per member, e.g. ``{"penalties.0.weight": weights}``.
        chunk: networks evaluated at once (speed only, and rounding). On Linux
            ``manypaths.run.memory.keep_freed_memory()`` makes large stacks of networks a third faster.
    """

    def __init__(
        self,
        games: Sequence[Game],
        *,
        seeds: Sequence[int] | None = None,
        vary: Mapping[str, Tensor] | None = None,
        chunk: int = DEFAULT_CHUNK,
    ):
        if not games:
            raise InvalidValue("there are no games: expected at least one member")
        if chunk < 1:
            raise InvalidValue(f"chunk is {chunk}: expected at least 1")
        self.template = games[0]
        check_members(games)
        self.seeds = tuple(range(len(games)) if seeds is None else seeds)
        self.vary = {path: torch.as_tensor(values) for path, values in (vary or {}).items()}
        lengths = {"seeds": len(self), **{path: len(values) for path, values in self.vary.items()}}
        for name, length in lengths.items():
            if length != len(games):
                raise InvalidValue(f"{name} has {length} entries: expected one for each of the {len(games)} members")
        for path in self.vary:
            _resolve(self.template, path)
        self.players = {name: Stack([g.players[name] for g in games]) for name in self.template.players}
        self.couples_samples, self.chunk = self.template.couples_samples, chunk
        self.projections = self.template.projections
        self._losses = _Losses(self.template)

    @classmethod
    def of(cls, make: Callable[[int], Game], seeds: Sequence[int] | int, **options: Any) -> Population:
        """The games ``make(seed)`` for each of the seeds (or 0 .. n-1)."""
        seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
        return cls([make(seed) for seed in seeds], seeds=seeds, **options)

    def __len__(self) -> int:
        return len(self.seeds or ())

    @property
    def looks(self) -> bool:  # type: ignore[override]
        return self.template.looks

    def check(self, sample: Any, *, declared: bool = False) -> list[Finding]:
        """That of the first member, at the weights that it began with."""
        return self.template.check(sample.member(0), declared=declared)

    def finite(self) -> Tensor:
        """Which members' weights are all finite, a mask (n,): a diverged member disturbs no other."""
        whole = torch.ones(len(self), dtype=torch.bool)
        for name in self.players:
            for p in self.parameters(name):
                whole &= torch.isfinite(p.detach().reshape(len(p), -1)).all(1).cpu()
        return whole

    @contextlib.contextmanager
    def member(self, i: int) -> Iterator[Game]:
        """Member i as a game alone, with copies of its weights: for measurements and samples."""
        for name, stack in self.players.items():
            module = self.template.players[name]
            copy_(list(module.parameters()), [p.detach()[i] for p in stack.parameters()])
            copy_(list(module.buffers()), [b[i] for b in stack.buffers()])
        with self._varied({path: values[i] for path, values in self.vary.items()}):
            yield self.template

    def subset(self, members: Tensor) -> Population:
        chosen = members.nonzero().flatten()
        part = object.__new__(Population)
        own = ("_stacked", "_parameters", "_known", "_unchanging")
        vars(part).update({key: value for key, value in vars(self).items() if key not in own})
        part.seeds = tuple(torch.tensor(self.seeds)[chosen].tolist())
        part.vary = {path: values[chosen] for path, values in self.vary.items()}
        part.players = {name: _rows(stack, chosen) for name, stack in self.players.items()}
        return part

    def losses(self, sample: Any, players: tuple[str, ...]) -> dict[str, Tensor]:
        """Every member's losses, (n,) each; without a graph (``gradients`` differentiates chunk by chunk)."""
        with torch.no_grad():
            found, _ = self._evaluate(sample, players, slice(0, len(self)))
        return found

    def _gradients(self, sample: Any, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        if isinstance(self.template, AnalyticGame):
            return self.template.evaluate(self._joint(), sample.stacked["index"], names)
        saved = [] if moves_buffers else [b.clone() for b in self.buffers()]
        parts: dict[str, list[list[Tensor | None]]] = {name: [] for name in names}
        losses: dict[str, list[Tensor]] = {name: [] for name in names}
        for start in range(0, len(self), self.chunk):
            with torch.enable_grad():
                found, leaves = self._evaluate(sample, names, slice(start, start + self.chunk))
                for k, name in enumerate(names):
                    wanted = [t for t in leaves[name].values() if t.requires_grad]
                    total = found[name].sum()  # members share no weight: each row is that member's own gradient
                    parts[name].append(differentiate(total, wanted, keep=k + 1 < len(names)))
                    losses[name].append(found[name].detach())
        if saved:
            copy_(self.buffers(), saved)
        joined = {name: [_join(tensors) for tensors in zip(*parts[name], strict=True)] for name in names}
        return Gradients(joined, {name: torch.cat(losses[name]) for name in names})

    def full_gradients(self, names: tuple[str, ...]) -> tuple[Gradients, int] | None:
        if not isinstance(self.template, AnalyticGame):
            return None
        return self.template.evaluate(self._joint(), None, names), self.template.size

    def difference_gradients(self, sample: Any, point: Point, names: tuple[str, ...]) -> Gradients | None:
        if not isinstance(self.template, AnalyticGame):
            return None
        there = joined(point, self.players)
        return self.template.evaluate(self._joint(), sample.stacked["index"], names, less=there)

    def parameters(self, player: str) -> list[nn.Parameter]:
        return self._parameters[player]

    def draws_noise(self, sample: Any) -> bool:
        self.gradients(sample)  # members that draw from torch's own generator are refused by vmap
        return False

    # ---- how ------------------------------------------------------------------------------------------------------

    def _joint(self) -> Tensor:
        """The joint vectors of an analytic game's members, (n, D)."""
        return joined(self._stacked, self.players)

    @cached_property
    def _stacked(self) -> dict[str, list[nn.Parameter]]:
        return {name: list(stack.parameters()) for name, stack in self.players.items()}

    @cached_property
    def _parameters(self) -> dict[str, list[nn.Parameter]]:
        return {name: [p for p in stacked if p.requires_grad] for name, stacked in self._stacked.items()}

    def _evaluate(
        self, sample: MemberSamples, names: tuple[str, ...], rows: slice
    ) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
        """The losses of some members, and the leaves that they depend on."""
        leaves, arguments, places = {}, {}, {}
        for name, stack in self.players.items():
            assert isinstance(stack, Stack)
            leaves[name], buffers = stack.tensors(rows)
            places.update({f"modules_by_player.{name}.{k}": t for k, t in buffers.items()})
            arguments.update({f"modules_by_player.{name}.{k}": t for k, t in leaves[name].items()})
        arguments.update(places)
        varied = {path: values[rows] for path, values in self.vary.items()}
        drawn = {key: tensor[rows] for key, tensor in sample.tensors().items()}

        def one(arguments: dict[str, Tensor], drawn: dict[str, Tensor], varied: dict[str, Tensor]) -> Any:
            held = dict(arguments)  # torch writes into it what the modules hold in the end
            with self._varied(varied):
                inputs = (sample.kind(**drawn), names)
                losses = torch.func.functional_call(self._losses, held, inputs, tie_weights=self._losses.tied)
            return losses, {key: held[key].detach() for key in places if held[key] is not arguments[key]}

        try:
            losses, anew = torch.vmap(one)(arguments, drawn, varied)
        except RuntimeError as error:
            if "randomness" not in str(error):
                raise
            raise InvalidType(
                "this game draws from torch's own generator (dropout, noise of its own), and members of a population "
                "cannot: expected noise from sample.seed (counter_uniform)"
            ) from error
        for key, buffer in anew.items():  # ``self.scale = 0.9 * self.scale + ...`` in a forward pass
            copy_([places[key]], [buffer])
        return dict(zip(names, losses, strict=True)), leaves

    @contextlib.contextmanager
    def _varied(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """The template with numbers of one member (or, inside vmap, of each)."""
        saved = []
        try:
            for path, value in values.items():
                owner, name = _resolve(self.template, path)
                saved.append((owner, name, getattr(owner, name)))
                object.__setattr__(owner, name, value)
            yield
        finally:
            for owner, name, value in saved:
                object.__setattr__(owner, name, value)


class _Losses(nn.Module):
    """The template's losses as a module, so that all of its weights can be handed over by name."""

    def __init__(self, game: Game):
        super().__init__()
        self.modules_by_player = nn.ModuleDict(dict(game.players))
        self.__dict__["game"] = game
        self.tied = len(list(self.parameters())) < len(list(self.named_parameters(remove_duplicate=False)))

    def forward(self, sample: Sample, names: tuple[str, ...]) -> tuple[Tensor, ...]:
        losses = expect_losses(self.__dict__["game"].losses(sample, names), names)
        return tuple(losses[name] for name in names)


def _flat_name(name: str) -> str:
    return name.replace(".", "/")


def _rows(stack: nn.Module, chosen: Tensor) -> Stack:
    """The chosen rows as a stack of their own."""
    assert isinstance(stack, Stack)
    part = Stack.__new__(Stack)
    nn.Module.__init__(part)
    part.names, part.buffer_names = stack.names, stack.buffer_names
    for name, p in stack.named_parameters():
        part.register_parameter(name, nn.Parameter(p.detach()[chosen], requires_grad=p.requires_grad))
    for name, b in stack.named_buffers():
        part.register_buffer(name, b[chosen])
    return part


def _join(tensors: Sequence[Tensor | None]) -> Tensor | None:
    existing = [t for t in tensors if t is not None]
    return torch.cat(existing) if len(existing) > 1 else next(iter(existing), None)


def _resolve(game: Game, path: str) -> tuple[Any, str]:
    """The owner and the attribute's name at a dotted path; digits index sequences."""
    owner: Any = game
    *steps, name = path.split(".")
    try:
        for step in steps:
            owner = owner[int(step)] if step.isdigit() else getattr(owner, step)
        value = getattr(owner, name)
    except (AttributeError, IndexError, TypeError) as error:
        raise InvalidValue(f"vary: the game has no {path!r} ({error})") from error
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidType(f"vary: {path} is {value!r}: expected a number")
    return owner, name
