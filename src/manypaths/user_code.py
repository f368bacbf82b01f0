"""Code of the user's own, named as ``package.module:name``: which of it may be imported, and what it must be.

What somebody types, at the command line or in Python, is imported. What a *file* names is imported only where it is a
class of this package or of torch's networks and optimisers, unless the reader of the file says that it trusts it
(``trust_code``). Either way it must be of the contract that stands there, which is checked before anything is called.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import re
import sys
import typing
from collections.abc import Collection, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manypaths.errors import InvalidType, InvalidValue, Untrusted

OWN = ("manypaths", "torch.nn", "torch.optim")
"""Packages whose classes a file may name; the rest of torch also loads files and starts processes."""
_DOTTED = r"[^\W\d]\w*(\.[^\W\d]\w*)*"


@dataclass(frozen=True)
class _File:
    """A file that is being read and is not trusted, and the names in it that the reader knows already."""

    path: Path
    known: frozenset[str]


_reading: ContextVar[_File | None] = ContextVar("reading", default=None)


@contextlib.contextmanager
def named_by(path: Path, *, trust_code: bool, known: Collection[str] = ()) -> Iterator[None]:
    """Inside, names come from a file: code outside ``OWN`` is refused unless it is trusted or ``known``."""
    token = _reading.set(None if trust_code else _File(path, frozenset(known)))
    try:
        yield
    finally:
        _reading.reset(token)


def is_name(text: str) -> bool:
    """Whether a text is ``package.module:name``."""
    return re.fullmatch(f"{_DOTTED}:{_DOTTED}", text) is not None


def is_own(name: str) -> bool:
    """Whether ``package.module:name`` is part of this package or of torch's networks and optimisers."""
    return f"{name.partition(':')[0]}.".startswith(tuple(f"{package}." for package in OWN))


def require_trust(name: str, what: str) -> None:
    """Refuse code that a file names and its reader has not said to trust; nothing is imported."""
    if (file := _reading.get()) is not None and name not in file.known:
        raise Untrusted(
            f"{file.path} names {name!r} as its {what}, and a file may name classes of manypaths, torch.nn and "
            "torch.optim: nothing was imported; --trust-code (trust_code=True) imports it, if you trust whoever "
            "wrote the file"
        )


def load(name: str, what: str, contract: type | None = None, expected: str = "package.module:Class") -> Any:
    """The object that ``package.module:name`` stands for: one of the contract, checked before anything is called.

    From a file that is not trusted come classes of ``OWN`` alone: a function may do anything with its arguments. The
    current folder is searched last, and only for what is not ``OWN``.
    """
    if not is_name(name):
        raise InvalidValue(f"{what} is {name!r}: expected {expected}")
    if not is_own(name):
        require_trust(name, what)
        _search_current_folder_last()
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InvalidValue(f"{what} is {name!r}: {error}; expected {expected}") from error
    if contract is not None:
        check_contract(found, name, contract)
    if not inspect.isclass(found):
        require_trust(name, what)
    return found


def check_contract(target: Any, name: str, contract: type) -> None:
    """``target`` is a class of the contract, or a function that is annotated to return one."""
    made = target if inspect.isclass(target) else _returned(target)
    if made == contract.__name__ or (inspect.isclass(made) and issubclass(made, contract)):
        return
    kind = "class" if inspect.isclass(target) else "function" if callable(target) else type(target).__name__
    raise InvalidType(
        f"{name} is a {kind} and no {contract.__name__}: expected a class of {contract.__name__}, or a function "
        "whose annotation says that it returns one"
    )


def current_folder_last() -> None:
    """Take the current folder off the front of the path, where ``python -c`` puts it and its files hide others'."""
    while sys.path and sys.path[0] == "":
        sys.path.pop(0)


def _search_current_folder_last() -> None:
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append("")
        importlib.invalidate_caches()


def _returned(target: Any) -> Any:
    """What a function says that it returns: a type, or its last name where that is known to type checkers alone."""
    try:
        found = typing.get_type_hints(target).get("return")
    except (TypeError, NameError):
        said = getattr(target, "__annotations__", {}).get("return")
        return said.rpartition(".")[2] if isinstance(said, str) else None
    return typing.get_origin(found) or found
