"""Hyper-parameters are annotated fields: one validator serves constructors, recipe files and ``--set``."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import numbers
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from manypaths.errors import InvalidType, InvalidValue, unknown_name
from manypaths.user_code import require_trust


@dataclass(frozen=True)
class Bound:
    """A closed (``at_least``, ``at_most``) or open (``above``, ``below``) bound of a number."""

    above: float = -math.inf
    at_least: float = -math.inf
    below: float = math.inf
    at_most: float = math.inf

    def holds(self, value: float) -> bool:
        return self.above < value < self.below and self.at_least <= value <= self.at_most

    def __str__(self) -> str:
        limits = [("> ", self.above), (">= ", self.at_least), ("< ", self.below), ("<= ", self.at_most)]
        return " and ".join(f"{sign}{limit:g}" for sign, limit in limits if math.isfinite(limit))


class Unbuilt:
    """Stands where a ``target`` is expected until it is built (see ``specs.Spec``)."""

    target: Any


def is_trusted(annotation: Any) -> bool:
    """Whether a text where ``annotation`` is expected decides which code runs."""
    marked = (m for a in (annotation, *get_args(annotation)) for m in getattr(a, "__metadata__", ()))
    return any(isinstance(mark, Trusted) for mark in marked)


@dataclass(frozen=True)
class Trusted:
    """Marks a text that decides which code runs: refused where a file names it and is not trusted."""

    what: str


CodeName = Annotated[str, Trusted("code")]
"""``package.module:name``, imported when it is used."""
PickleFile = Annotated[str, Trusted("pickle")]
"""A file whose reading runs what is in it."""
PositiveInt = Annotated[int, Bound(at_least=1)]
Extended = Annotated[float, "or infinite"]
"""A number that may be infinite; elsewhere an infinite one is a mistake."""
NonNegativeInt = Annotated[int, Bound(at_least=0)]
Positive = Annotated[float, Bound(above=0, below=math.inf)]
NonNegative = Annotated[float, Bound(at_least=0, below=math.inf)]
Fraction = Annotated[float, Bound(at_least=0, below=1)]
Probability = Annotated[float, Bound(at_least=0, at_most=1)]


@cache
def accepted(target: Any) -> dict[str, Any]:
    """Parameter name -> annotation of everything that ``target(...)`` accepts, in order."""
    source = target.__init__ if inspect.isclass(target) and not dataclasses.is_dataclass(target) else target
    hints = typing.get_type_hints(source, include_extras=True)
    parameters = inspect.signature(target).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return {p.name: _as_tuple(hints.get(p.name, _kind_of(p.default))) for p in named}


def _kind_of(default: Any) -> Any:
    """What a parameter without an annotation expects: numbers and text of the kind of its default."""
    return type(default) if isinstance(default, (bool, int, float, str)) else Any


def _as_tuple(annotation: Any) -> Any:
    """``Sequence[X]`` is kept as ``tuple[X, ...]``."""
    return tuple[get_args(annotation)[0], ...] if get_origin(annotation) is Sequence else annotation  # type: ignore[misc]


def check(component: Any) -> None:
    """Validate every field of a dataclass against its annotation; called from ``__post_init__``.

    Numbers are coerced the safe way only (an int where a float is expected, a list where a tuple is).
    """
    expected = accepted(type(component))
    for field in dataclasses.fields(component):
        if field.init:
            name = f"{type(component).__name__}.{field.name}"
            value = conform(getattr(component, field.name), expected[field.name], name)
            object.__setattr__(component, field.name, value)


def expect_defaults(component: Any, names: Sequence[str], why: str) -> None:
    """Refuse settings that do nothing here: each must be left at its default. ``why`` says what they depend on."""
    defaults = {field.name: field.default for field in dataclasses.fields(component)}
    for name in names:
        if (value := getattr(component, name)) != defaults[name]:
            raise InvalidValue(
                f"{type(component).__name__}.{name} is {value!r} and has no effect where {why}: leave it away"
            )


def conform(value: Any, annotation: Any, name: str) -> Any:
    """``value`` as ``annotation`` wants it, or an error that names the value and the expectation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any or isinstance(annotation, typing.TypeVar):
        return value
    if annotation == Extended and isinstance(value, numbers.Real) and math.isinf(value):
        return float(value)
    if origin is Annotated:
        return _bounded(conform(value, arguments[0], name), arguments[1:], name)
    if origin is Literal:
        if value in arguments:
            return value
        if isinstance(value, str):
            raise unknown_name(f"value of {name}:", value, map(str, arguments))
        raise _wrong(value, annotation, name)
    if origin in (Union, UnionType):
        return _union(value, annotation, name)
    if origin is tuple:
        return _tuple(value, annotation, name)
    if isinstance(value, Unbuilt):
        return _stand_in(value, annotation, name)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(value, annotation, name)
        return {key: conform(item, arguments[1], f"{name}.{key}") for key, item in value.items()}
    return _plain(value, origin or annotation, name)


def _plain(value: Any, kind: Any, name: str) -> Any:
    if isinstance(value, bool) and kind is not bool and kind in (int, float):
        raise _wrong(value, kind, name)
    if kind is float and isinstance(value, numbers.Real):
        if not math.isfinite(value):
            raise InvalidValue(f"{name} is {float(value)}: expected a finite number")
        return float(value)
    if kind is int and isinstance(value, numbers.Integral):
        return int(value)
    if kind is type(None):
        kind = types.NoneType
    if inspect.isclass(kind) and not isinstance(value, kind):
        raise _wrong(value, kind, name)
    return value


def _stand_in(value: Unbuilt, annotation: Any, name: str) -> Unbuilt:
    wanted = get_args(annotation)[0] if get_args(annotation) else annotation
    if inspect.isclass(wanted) and inspect.isclass(value.target) and not issubclass(value.target, wanted):
        raise InvalidType(f"{name} is {value!r}: expected a {wanted.__name__}")
    return value


def _bounded(value: Any, bounds: tuple[Any, ...], name: str) -> Any:
    for bound in bounds:
        if isinstance(bound, Trusted):
            require_trust(str(value), bound.what)
        if isinstance(bound, Bound) and not (isinstance(value, (int, float)) and bound.holds(value)):
            raise InvalidValue(f"{name} is {value!r}: expected a number {bound}")
    return value


def _union(value: Any, annotation: Any, name: str) -> Any:
    failures = []
    for option in get_args(annotation):
        try:
            return conform(value, option, name)
        except (InvalidValue, InvalidType) as error:
            failures.append(error)
    wrong_value = next((f for f in failures if isinstance(f, InvalidValue)), None)
    raise wrong_value or _wrong(value, annotation, name)


def _tuple(value: Any, annotation: Any, name: str) -> tuple[Any, ...]:
    items = get_args(annotation)
    if not isinstance(value, (tuple, list)):
        raise _wrong(value, annotation, name)
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(conform(v, items[0], f"{name}[{i}]") for i, v in enumerate(value))
    if len(items) != len(value):
        raise InvalidValue(f"{name} is {value!r}: expected {len(items)} values")
    return tuple(conform(v, item, f"{name}[{i}]") for i, (v, item) in enumerate(zip(value, items, strict=True)))


def _wrong(value: Any, annotation: Any, name: str) -> InvalidType:
    return InvalidType(f"{name} is {value!r}: expected {describe(annotation)}")


def describe(annotation: Any) -> str:
    """An annotation in words: ``int >= 1``, ``'shared' | 'rewind'``, ``Objective``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return " ".join([describe(arguments[0]), *(str(b) for b in arguments[1:] if isinstance(b, Bound))])
    if origin is Literal:
        return " | ".join(map(repr, arguments))
    if origin in (Union, UnionType):
        return " | ".join(describe(a) for a in arguments)
    if origin is tuple:
        return "(" + ", ".join("..." if a is Ellipsis else describe(a) for a in arguments) + ")"
    if annotation in (type(None), types.NoneType):
        return "none"
    return getattr(annotation, "__name__", str(annotation))


def parse(text: str, annotation: Any, name: str) -> Any:
    """The value that ``text`` means where ``annotation`` is expected: ``1e-3`` is a float, ``010`` is ten.

    The annotation decides, never the look of the text; lists are ``a,b`` or JSON.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _bounded(parse(text, arguments[0], name), arguments[1:], name)
    if origin in (Union, UnionType):
        return _parse_union(text, annotation, name)
    if origin is Literal:
        return conform(next((a for a in arguments if str(a) == text), text), annotation, name)
    if origin is tuple:
        try:
            items = json.loads(text) if text.startswith("[") else [t for t in text.split(",") if t]
        except json.JSONDecodeError as error:
            raise InvalidValue(f"{name} is {text!r}: expected a list like a,b or JSON ({error})") from error
        kind = lambda i: arguments[0] if arguments[-1] is Ellipsis else arguments[min(i, len(arguments) - 1)]  # noqa: E731
        return conform(tuple(parse(str(t), kind(i), name) for i, t in enumerate(items)), annotation, name)
    if annotation is bool:
        if text.lower() not in ("true", "false", "yes", "no", "1", "0"):
            raise InvalidValue(f"{name} is {text!r}: expected true or false")
        return text.lower() in ("true", "yes", "1")
    if annotation in (int, float):
        try:
            value = annotation(text)
        except ValueError:
            raise InvalidValue(f"{name} is {text!r}: expected {annotation.__name__}") from None
        return conform(value, annotation, name)
    if annotation in (type(None), types.NoneType):
        if text.lower() in ("none", "null"):
            return None
        raise InvalidValue(f"{name} is {text!r}: expected none")
    return conform(text, annotation, name)


def _parse_union(text: str, annotation: Any, name: str) -> Any:
    failures = []
    for option in sorted(get_args(annotation), key=lambda a: a is str):
        try:
            return parse(text, option, name)
        except (InvalidValue, InvalidType) as error:
            failures.append(error)
    numeric = ("expected a number", "expected a finite number")
    bound = next((f for f in failures if any(text in str(f) for text in numeric)), None)
    raise bound or InvalidValue(f"{name} is {text!r}: expected {describe(annotation)}")


def check_arguments(target: Any, arguments: Mapping[str, Any]) -> None:
    """Validate the arguments of an ``__init__`` (pass ``locals()``) the way ``check`` does for a dataclass."""
    for name, annotation in accepted(target).items():
        conform(arguments[name], annotation, f"{target.__name__}.{name}")
