"""Training: the one verb of a step, for people with a loop of their own."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from manypaths.errors import InvalidType, InvalidValue, LikelyMistake
from manypaths.games.analytic.base import AnalyticGame
from manypaths.games.base import Game
from manypaths.games.capabilities import Stacked, seeds_of
from manypaths.games.first_look import first_look
from manypaths.games.structure import expect_bare
from manypaths.games.watch import Watch
from manypaths.optim.averaging.base import LAST, Average
from manypaths.optim.base import Optimizers
from manypaths.optim.trained_weights import TrainedWeights
from manypaths.oracles.base import Oracle
from manypaths.populations.population import Population
from manypaths.randomness import Coins
from manypaths.registry import name_of
from manypaths.rules.base import Rule
from manypaths.schedules.base import Schedule
from manypaths.schedules.scheduled import Scheduled
from manypaths.step import StepInfo
from manypaths.vectors import squared_norm


class Training:
    """A game, an oracle, a rule and the optimizers, advanced together in the one right order.

    Args:
        game: what is played.
        oracle: how gradients are estimated.
        rule: where and how often it is asked.
        optimizers: a ``torch.optim`` optimiser per player, or a list of several (a plain mapping is wrapped).
        averages: running averages by name, or a single one.
        schedules: numbers that change on the way, by their paths: ``{"optimizers.critic.lr": Cosine(over=1000)}``.
        seed: of the restart coin, and of the latents with which averages are evaluated.

    Attributes:
        steps: steps taken so far.
        notes: what construction decided on the user's behalf, in words.
    """

    def __init__(
        self,
        game: Game,
        oracle: Oracle,
        rule: Rule,
        optimizers: Optimizers | Mapping[str, torch.optim.Optimizer | Sequence[torch.optim.Optimizer]],
        *,
        averages: Mapping[str, Average] | Average | None = None,
        schedules: Mapping[str, Schedule] | None = None,
        seed: int = 0,
    ):
        for value, kind in ((game, Game), (oracle, Oracle), (rule, Rule)):
            if not isinstance(value, kind):
                raise InvalidType(f"{value!r}: expected a {kind.__name__}")
        expect_bare(game.players)
        self.game, self.oracle, self.rule = game, oracle, rule
        self.optimizers = optimizers if isinstance(optimizers, Optimizers) else Optimizers(optimizers)
        self.optimizers.check(game)
        self.averages = _named(averages)
        for name, average in self.averages.items():
            average.knows(oracle.source, seed)
            if average.of == "extrapolated" and not rule.keeps_extrapolated():
                raise InvalidType(
                    f"the average {name!r} wants extrapolated points and {type(rule).__name__} does not announce them: "
                    "use Extragradient(keep_extrapolated=True)"
                )
            if average.restart > 0 and average.restart_at == "snapshot" and not oracle.takes_snapshots:
                raise InvalidType(
                    f"the average {name!r} restarts at snapshots and {type(oracle).__name__} takes none: "
                    "expected restart = 0 or restart_at = 'step'"
                )
        self._restarts = [average for average in self.averages.values() if average.restart > 0]
        found = [oracle.source.settle(finite=oracle.needs_finite_sum)]
        mistakes = [str(finding) for finding in first_look(game, oracle.source, getattr(oracle, "batch", 2))]
        self.notes = [note for note in (*oracle.source.notes, *found, oracle.bind(game), *mistakes) if note]
        for mistake in mistakes:
            warnings.warn(mistake, LikelyMistake, stacklevel=2)
        rule.check(game, oracle, self.optimizers)
        self.notes += self.optimizers.about_decay(extrapolates=rule.extrapolates)
        self.steps = 0
        self._watch = None if isinstance(game.unwrapped, (Stacked, AnalyticGame)) else Watch()
        draw = lambda n, generator: torch.rand(n, generator=generator)  # noqa: E731
        self._coins = Coins(seeds_of(game) or (seed,), "restart", draw=draw)
        self._scheduled = Scheduled(schedules or {}, self, batch=getattr(oracle, "batch", None))
        self._scheduled.follow(self.steps)
        self._trained = TrainedWeights(game)

    def step(self) -> StepInfo:
        """One step: rule, averages, and at a snapshot event first the restart, then the snapshot.

        The snapshot is thus taken where the iterate is, also after a jump, and once: the one that a jump asks for
        (``SVRG(on_jump="refresh")``) is the step's snapshot event.
        """
        if self._watch is not None:
            self._watch.look(self.steps)
        with self.game.unchanging() as anew:
            if anew:
                self._trained.look(self.optimizers, self._remembering)
            info = self._step()
        if self._watch is not None:
            self._watch.losses = info.losses
        return info

    def _step(self) -> StepInfo:
        self._scheduled.follow(self.steps)
        info = self.rule.step(self.game, self.oracle, self.optimizers)
        for average in self.averages.values():
            average.update(self.game, info)
        due = self.oracle.due()
        moved = torch.ones_like(due) if info.jumped else None
        if moved is not None and self.oracle.refreshes_on_jump:
            due = moved  # the snapshot that a jump asks for is one like any other: restarts and stages go by it
        restarted = self._restart(due) if self._restarts else None
        if restarted is not None and restarted.any():
            info = dataclasses.replace(info, jumped=True)
            moved = restarted if moved is None else moved | restarted
            due = due | restarted if self.oracle.refreshes_on_jump else due
        if due.any():
            self.oracle.take_snapshot(self.game, due)
        if moved is not None and (left := moved & ~due).any():
            self.oracle.jumped(self.game, left)
        self.optimizers.end_step()
        self.steps += 1
        return info

    def _remembering(self) -> dict[str, Any]:
        """Who may keep vectors beside the weights, and what it keeps."""
        averages = {f"the average {name!r}": average.state_dict() for name, average in self.averages.items()}
        oracle = {**self.oracle.state_dict(), "evaluations": None}  # counts
        rule = self.rule.state_dict()
        return {**averages, type(self.rule).__name__: rule, type(self.oracle).__name__: oracle}

    def _restart(self, due: Tensor) -> Tensor:
        """Jump to an average with its own probability and begin it anew; one coin per average that restarts.

        Every member of a population has coins of its own. Returns who jumped, a mask.
        """
        jumped = torch.zeros(len(seeds_of(self.game) or (0,)), dtype=torch.bool)
        for average in self._restarts:
            waiting = ~jumped & due if average.restart_at == "snapshot" else ~jumped
            if not waiting.any():
                continue
            chosen = waiting & (self._coins.next(waiting) < average.restart)
            if chosen.any():
                members = None if seeds_of(self.game) is None else chosen
                self.game.move_to(average.point(), members=members)
                self.rule.jumped(self.game, members)
                average.reset(members)
                jumped |= chosen
        return jumped

    def non_finite(self, info: StepInfo) -> str | None:
        """The first non-finite loss or weight, with its player; ``None`` while all is finite.

        In a population only when no member is left (``Population.finite`` tells which are).
        """
        self._watch = None  # whoever asks stops by itself
        if isinstance(self.game, Population):
            return None if self.game.finite().any() else "no member has finite weights any more"
        for name, loss in info.losses.items():
            if not math.isfinite(float(loss)):
                return f"the loss of {name} is {float(loss)}"
        for name in self.game.players:
            if not math.isfinite(squared_norm(p.detach() for p in self.game.parameters(name))):
                return f"a weight of {name} is not finite"
        return None

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on.

        As in torch, the tensors are those at work: save it, or copy it deeply, before the next step.
        """
        return {
            "steps": self.steps,
            "game": self.game.state_dict(),
            "execution": self.game.execution.state_dict(),
            "oracle": self.oracle.state_dict(),
            "source": self.oracle.source.state_dict(),
            "rule": self.rule.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "averages": {name: average.state_dict() for name, average in self.averages.items()},
            "coins": self._coins.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        device = self.game.device  # of all but the source's and torch's own: indices, Adam's counts stay where they are
        state = {key: value if key in ("source", "optimizers") else _on(device, value) for key, value in state.items()}
        self.game.load_state_dict(state["game"])
        if "execution" in state:  # checkpoints of before have none
            self.game.execution.load_state_dict(state["execution"])
        self.oracle.source.load_state_dict(state["source"])
        self.oracle.load_state_dict(state["oracle"])
        self.rule.load_state_dict(state["rule"])
        self.optimizers.load_state_dict(state["optimizers"])
        if set(state["averages"]) != set(self.averages):
            raise InvalidValue(f"saved averages are {sorted(state['averages'])}: expected {sorted(self.averages)}")
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])
        self._coins.load_state_dict(state["coins"])
        self.steps = state["steps"]
        self._scheduled.follow(self.steps)


def _on(device: torch.device, state: Any) -> Any:
    """A state dict with its tensors on a device; generator states (uint8) stay where generators are."""
    if isinstance(state, torch.Tensor):
        return state if state.dtype == torch.uint8 else state.to(device)
    if isinstance(state, Mapping):
        return {key: _on(device, value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(_on(device, value) for value in state)
    return state


def _named(averages: Mapping[str, Average] | Average | None) -> dict[str, Average]:
    if isinstance(averages, Average):
        averages = {name_of(type(averages)): averages}
    if averages is not None and not isinstance(averages, Mapping):
        raise InvalidType(f"averages is {averages!r}: expected one average, or a mapping from names to averages")
    if LAST in (averages or {}):
        raise InvalidValue(f"an average is named {LAST!r}, which is the last iterate: expected another name")
    return dict(averages or {})
