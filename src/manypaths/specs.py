"""A part of a recipe: a class and its hyper-parameters, checked now and built later."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Generic, TypeVar, get_args, get_origin

from manypaths import fields, user_code
from manypaths.errors import InvalidType, InvalidValue, unknown_name
from manypaths.registry import lookup, name_of, registry_for

T = TypeVar("T", covariant=True)


class Spec(fields.Unbuilt, Generic[T]):
    """``Spec(SVRG, batch=64)``: what to build and with which settings; nothing is allocated yet.

    Settings may hold further parts. Names, types and bounds are those of the target's signature and are checked
    here; whatever needs live objects (``source``, ``params``) arrives in ``build``.
    """

    def __init__(self, target: Callable[..., T], /, **settings: Any):
        expected = fields.accepted(target)
        for name in settings:
            if name not in expected:
                raise unknown_name(f"setting of {name_of(target)}:", name, expected)
        self.target = target
        self.settings = {k: fields.conform(v, expected[k], f"{name_of(target)}.{k}") for k, v in settings.items()}

    def build(self, **live: Any) -> T:
        """Build the nested parts, then ``target(**settings, **live)``."""
        self.require(live)
        return self.target(**{name: _built(value) for name, value in self.settings.items()}, **live)

    def supplied(self, **live: Any) -> Spec[T]:
        """A copy in which live objects stand wherever this part or a nested one accepts and does not set them."""
        nested = {k: v.supplied(**live) if isinstance(v, Spec) else v for k, v in self.settings.items()}
        return Spec(self.target, **{name: value for name, value in live.items() if self.accepts(name)} | nested)

    def require(self, live: Iterable[str] = ()) -> None:
        """Everything without a default is set, here and in nested parts, but for the ``live`` objects to come."""
        if missing := [name for name in _needed(self.target) if name not in self.settings and name not in live]:
            raise InvalidValue(f"{name_of(self.target)} lacks {', '.join(missing)}: expected a setting for each")
        for value in self.settings.values():
            for part in value if isinstance(value, tuple) else (value,):
                if isinstance(part, Spec):
                    part.require(live)

    def accepts(self, name: str) -> bool:
        """Whether the target has a parameter of that name."""
        return name in fields.accepted(self.target)

    def with_(self, path: str, value: Any, *, where: str = "") -> Spec[T]:
        """A copy with the setting at a dotted path replaced; a text value is parsed as the annotation says."""
        name, _, rest = path.partition(".")
        expected = fields.accepted(self.target)
        if name not in expected:
            raise unknown_name(f"setting of {where or name_of(self.target)}:", name, expected)
        inside = f"{where}.{name}" if where else name
        value = replaced(self.settings.get(name), expected[name], rest, value, inside)
        return Spec(self.target, **{**self.settings, name: value})

    def to_plain(self) -> dict[str, Any]:
        """Plain data, with every default spelled out: ``{"name": "svrg", "batch": 64, ...}``."""
        settings = {**_defaults(self.target), **self.settings}
        return {"name": name_of(self.target), **{k: plain(v) for k, v in settings.items()}}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self.to_plain() == other.to_plain()

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"Spec({name_of(self.target)}{', ' if settings else ''}{settings})"

    __hash__ = None  # type: ignore[assignment]


def replaced(current: Any, annotation: Any, path: str, value: Any, where: str) -> Any:
    """What stands at ``where`` after the setting at the remaining ``path`` was replaced by ``value``."""
    if not path:
        return from_text(value, annotation, where) if isinstance(value, str) else from_plain(value, annotation, where)
    if isinstance(current, Spec):
        return current.with_(path, value, where=where)
    name, _, rest = path.partition(".")
    if isinstance(current, Mapping):
        if name not in current:
            raise unknown_name(f"entry of {where}:", name, current)
        inner = replaced(current[name], get_args(annotation)[1], rest, value, f"{where}.{name}")
        return {**current, name: inner}
    if isinstance(current, tuple) and name.isdigit() and int(name) < len(current):
        i, item = int(name), get_args(annotation)[0]
        return (*current[:i], replaced(current[i], item, rest, value, f"{where}.{i}"), *current[i + 1 :])
    raise InvalidValue(f"{where} has no settings of its own: cannot set {where}.{path}")


def plain(value: Any) -> Any:
    """Components, parts and containers as JSON-ready data."""
    if isinstance(value, Spec):
        return value.to_plain()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if _is_component(value):
        settings = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return {"name": name_of(type(value)), **settings}
    return value


def from_plain(data: Any, annotation: Any, where: str) -> Any:
    """The inverse of ``plain``: the annotation says which dictionaries are parts and of which table."""
    contract, origin = _contract(annotation), get_origin(annotation)
    if contract is not None:
        return part_from_plain(data, contract, where) if isinstance(data, Mapping) else data
    if origin is tuple and isinstance(data, (list, tuple)):
        items = get_args(annotation)
        kinds = (items[0],) * len(data) if items[-1] is Ellipsis else items
        return tuple(from_plain(d, kinds[min(i, len(kinds) - 1)], f"{where}.{i}") for i, d in enumerate(data))
    if isinstance(data, Mapping) and origin is not None:
        item = get_args(annotation)[1]
        return {key: from_plain(d, item, f"{where}.{key}") for key, d in data.items()}
    return data


def part_from_plain(data: Mapping[str, Any], contract: Any, where: str) -> Spec[Any]:
    """One part from ``{"name": ..., **settings}``."""
    if not isinstance(data.get("name"), str):
        raise InvalidValue(f"{where} is {dict(data)!r}: expected a 'name' beside its settings")
    target = lookup(data["name"], contract)
    expected = fields.accepted(target)
    settings = {k: from_plain(v, expected.get(k, Any), f"{where}.{k}") for k, v in data.items() if k != "name"}
    return Spec(target, **settings)


def from_text(text: str, annotation: Any, where: str) -> Any:
    """A value from the command line; where a component is expected, the text is its name."""
    contract = _contract(annotation)
    if contract is not None:
        if text.lower() == "none" and type(None) in get_args(annotation):
            return None
        return Spec(lookup(text, contract))
    items = get_args(annotation)
    if get_origin(annotation) is Mapping and text.lower() == "none":
        return {}
    if get_origin(annotation) is tuple and _contract(items[0]) is not None:
        return tuple(Spec(lookup(name, _contract(items[0]))) for name in text.split(",") if name not in ("", "none"))
    return fields.parse(text, annotation, where)


def _contract(annotation: Any) -> Any:
    """The base class whose table an annotation refers to, through ``Spec[...]`` and ``... | None``."""
    if get_origin(annotation) is Spec:
        return get_args(annotation)[0]
    if get_origin(annotation) in (typing.Union, fields.UnionType):
        return next((c for a in get_args(annotation) if (c := _contract(a)) is not None), None)
    return annotation if isinstance(annotation, type) and registry_for(annotation) is not None else None


def _built(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.build()
    if isinstance(value, tuple):
        return tuple(_built(item) for item in value)
    if isinstance(value, dict):
        return {key: _built(item) for key, item in value.items()}
    return value


@cache
def _needed(target: Any) -> tuple[str, ...]:
    """Parameters without a default."""
    parameters = inspect.signature(target).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(p.name for p in parameters if p.default is p.empty and p.kind in kinds)


@cache
def _defaults(target: Any) -> Mapping[str, Any]:
    """Defaults that are settings; a tensor that may be absent is a live object, which only ``build`` can bring."""
    expected = fields.accepted(target)
    found = {}
    for name, parameter in inspect.signature(target).parameters.items():
        default = parameter.default
        live = default is None and any(getattr(a, "__name__", "") == "Tensor" for a in get_args(expected.get(name)))
        setting = isinstance(default, (int, float, str, tuple, type(None))) or _is_component(default)
        if setting and not live:
            found[name] = default
    return found


def _is_component(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def code_names(value: Any) -> Iterator[str]:
    """The code outside ``user_code.OWN``, functions and trusted texts that a part and those inside it stand for."""
    if isinstance(value, Spec):
        name = name_of(value.target)
        if ":" in name and not (user_code.is_own(name) and inspect.isclass(value.target)):
            yield name
        expected = fields.accepted(value.target)
        for setting, inner in value.settings.items():
            if isinstance(inner, str) and fields.is_trusted(expected[setting]):
                yield inner
            yield from code_names(inner)
    elif isinstance(value, (tuple, Mapping)):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from code_names(inner)


def expect_spec(value: Any, where: str) -> Spec[Any]:
    """``value`` when it is a part; an error that says what one looks like otherwise."""
    if not isinstance(value, Spec):
        raise InvalidType(f"{where} is {value!r}: expected a Spec, for example Spec(Digits)")
    return value
