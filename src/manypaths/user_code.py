"""Code of the user's own, named as ``package.module:name``: which of it may be imported, and what it must be.

What somebody types, at the command line or in Python, is imported. What a *file* names is imported only where it is
part of this package or of torch, unless the reader of the file says that it trusts it (``trust_code``).
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

from manypaths.errors import InvalidType, InvalidValue

OWN = ("manypaths", "torch")
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
    """Whether ``package.module:name`` is part of this package or of torch."""
    return name.partition(":")[0].partition(".")[0] in OWN


def require_trust(name: str, what: str, *, own: bool = False) -> None:
    """Refuse code that a file names and its reader has not said to trust; nothing is imported.

    ``own``: what is named is part of this package or of torch.
    """
    file = _reading.get()
    if file is not None and not own and name not in file.known:
        raise InvalidValue(
            f"{file.path} names {name!r} as its {what}, which is code outside manypaths and torch: add --trust-code "
            "(trust_code=True) if you trust whoever wrote the file"
        )


def load(name: str, what: str, expected: str = "package.module:Class") -> Any:
    """The object that ``package.module:name`` stands for; the current folder is searched last."""
    if not is_name(name):
        raise InvalidValue(f"{what} is {name!r}: expected {expected}")
    require_trust(name, what, own=is_own(name))
    module, _, attribute = name.partition(":")
    _search_current_folder_last()
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InvalidValue(f"{what} is {name!r}: {error}; expected {expected}") from error
    return found


def check_contract(target: Any, name: str, contract: type) -> Any:
    """``target`` where it is a class of the contract, or a function that is annotated to return one."""
    made = target if inspect.isclass(target) else _returned(target)
    if not (inspect.isclass(made) and issubclass(made, contract)):
        kind = "class" if inspect.isclass(target) else "function" if callable(target) else type(target).__name__
        raise InvalidType(
            f"{name} is a {kind} and no {contract.__name__}: expected a class of {contract.__name__}, or a function "
            "whose annotation says that it returns one"
        )
    return target


def current_folder_last() -> None:
    """Take the current folder off the front of the path, where ``python -m`` puts it and its files hide others'."""
    here = os.getcwd()
    while sys.path and sys.path[0] in ("", here):
        sys.path.pop(0)


def _search_current_folder_last() -> None:
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append("")
        importlib.invalidate_caches()


def _returned(target: Any) -> Any:
    """What a function says that it returns."""
    try:
        found = typing.get_type_hints(target).get("return")
    except (TypeError, NameError):
        return None
    return typing.get_origin(found) or found
