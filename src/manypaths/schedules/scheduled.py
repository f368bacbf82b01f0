"""The numbers of a training that follow schedules: found by their paths, checked once, set before every step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue, unknown_name
from manypaths.schedules.base import Schedule

ROOTS = ("optimizers", "game", "averages", "rule")
"""Where numbers are read anew at every step; those of a source or an oracle decide what is drawn and stored."""


class Scheduled:
    """Path -> schedule, over the live parts of a training: ``{"optimizers.critic.lr": Cosine(over=1000)}``.

    A path is that of the setting in a recipe, beginning with one of ``ROOTS``: ``optimizers.critic.betas.1``,
    ``game.penalties.0.weight``, ``averages.ema.decay``, ``rule.extrapolation``. Frozen parts are replaced by copies.

    Args:
        schedules: by path.
        training: has the parts as attributes.
        batch: images per step of the rule, for schedules that count these.
    """

    def __init__(self, schedules: Mapping[str, Schedule], training: Any, *, batch: int | None):
        self.schedules, self._training, self._batch = dict(schedules), training, batch
        self._starts: dict[str, float] = {}
        for path, schedule in self.schedules.items():
            if not isinstance(schedule, Schedule):
                raise InvalidType(
                    f"the schedule of {path} is {schedule!r}: expected a Schedule, such as Cosine(over=1000)"
                )
            if schedule.unit == "images" and batch is None:
                raise InvalidValue(
                    f"the schedule of {path} counts images and the oracle has no batch: expected updates"
                )
            owner, names = self._place(path)
            self._starts[path] = start = _number(owner, names, path)
            for value in schedule.extremes(start):
                _check(owner, names, value, path)

    def follow(self, steps: int) -> None:
        """Give every number the value that it has after so many steps."""
        for path, schedule in self.schedules.items():
            at = steps if schedule.unit == "updates" else steps * (self._batch or 0)
            owner, names = self._place(path)
            _set(owner, names, schedule.value(self._starts[path], at))

    def _place(self, path: str) -> tuple[Any, list[str]]:
        """Where a path begins, and its names from there on."""
        root, *names = path.split(".")
        if root not in ROOTS:
            raise InvalidValue(f"{path} cannot follow a schedule: expected a number inside {', '.join(ROOTS)}")
        if not names:
            raise InvalidValue(f"{path} is no number: expected a path such as optimizers.generator.lr")
        if root == "game":
            return self._training.game.unwrapped, names
        return self._training, [root, *names]


def _number(owner: Any, names: Sequence[str], path: str) -> float:
    """The number at a path, or a line that says where the path ends."""
    for name in names:
        owner = _inner(owner, name, path)
    if isinstance(owner, bool) or not isinstance(owner, (int, float)):
        raise InvalidValue(f"{path} is {owner!r}: expected a number, which a schedule can change")
    return owner


def _inner(owner: Any, name: str, path: str) -> Any:
    if isinstance(owner, Mapping):
        if name not in owner:
            raise unknown_name(f"entry of the schedule {path}:", name, owner)
        return owner[name]
    if isinstance(owner, (tuple, list)):
        if not name.isdigit() or int(name) >= len(owner):
            raise InvalidValue(f"{path}: {name!r} is no place among {len(owner)}: expected 0 to {len(owner) - 1}")
        return owner[int(name)]
    if hasattr(owner, "param_groups"):
        if name == "lr" and len({float(group["lr"]) for group in owner.param_groups}) > 1:
            raise InvalidValue(
                f"{path} has another value in each parameter group: expected one for all, or torch's own schedulers, "
                "which keep their ratios (Optimizers(schedules=...))"
            )
        return _inner(owner.param_groups[0], name, path)
    if not hasattr(owner, name):
        known = [f.name for f in dataclasses.fields(owner)] if dataclasses.is_dataclass(owner) else vars(owner)
        raise unknown_name(f"setting of {type(owner).__name__} in the schedule {path}:", name, known)
    return getattr(owner, name)


def _check(owner: Any, names: Sequence[str], value: float, path: str) -> None:
    """A value that a part's own bounds allow, where the part declares them."""
    for name in names[:-1]:
        owner = _inner(owner, name, path)
    if dataclasses.is_dataclass(owner) and not isinstance(owner, type):
        fields.conform(value, fields.accepted(type(owner))[names[-1]], path)


def _set(owner: Any, names: Sequence[str], value: float) -> Any:
    """Put a number in its place; returns what stands for ``owner`` from now on, itself or a changed copy."""
    name, rest = names[0], names[1:]
    if isinstance(owner, (tuple, list)):
        items = list(owner)
        items[int(name)] = _set(items[int(name)], rest, value) if rest else value
        return type(owner)(items)
    if hasattr(owner, "param_groups"):
        for group in owner.param_groups:
            _set(group, names, value)
        return owner
    if isinstance(owner, Mapping):
        inner = _set(owner[name], rest, value) if rest else value
        if isinstance(owner, dict) and owner.get(name) is not inner:
            owner[name] = inner
        return owner
    inner = _set(getattr(owner, name), rest, value) if rest else value
    if dataclasses.is_dataclass(owner) and owner.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return dataclasses.replace(owner, **{name: inner})  # type: ignore[type-var]
    if getattr(owner, name) is not inner:
        setattr(owner, name, inner)
    return owner
