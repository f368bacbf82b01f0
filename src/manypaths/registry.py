"""Names to classes: one explicit table per folder, resolved only when a name is used.

A table is text (``"dragan": "dragan:Dragan"``), so that listing every name, and shell completion, answer without
importing torch.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from manypaths import user_code
from manypaths.errors import InvalidType, unknown_name


class Registry(Mapping[str, Any]):
    """A table ``name -> object`` whose objects are imported when they are asked for.

    ``contract`` and the entries are ``"module:Name"`` relative to ``package``; torch's own (``"torch.optim:SGD"``) are
    absolute.
    """

    def __init__(self, kind: str, package: str, contract: str | None, entries: Mapping[str, str]):
        self.kind, self.package, self._contract, self._entries = kind, package, contract, dict(entries)
        _registries.append(self)

    def __getitem__(self, name: str) -> Any:
        if name not in self._entries:
            raise unknown_name(self.kind, name, self)
        return self._resolve(self._entries[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:  # Mapping's own would import the entry
        return name in self._entries

    @property
    def contract(self) -> Any:
        """The base class that every entry implements (``None`` for a table of functions)."""
        return self._resolve(self._contract) if self._contract else None

    def name_of(self, target: Any) -> str | None:
        """The name under which ``target`` stands in this table."""
        if str(target.__module__).startswith("torch."):  # torch's entries name the package that exports the class
            torchs = (name for name, entry in self._entries.items() if entry.startswith("torch."))
            return next((name for name in torchs if self[name] is target), None)
        return self._names.get(f"{target.__module__}:{target.__qualname__}")

    @cached_property
    def _names(self) -> dict[str, str]:
        return {self._absolute(entry): name for name, entry in reversed(self._entries.items())}

    def summary(self, name: str) -> str:
        """The first line of an entry's docstring, read from the source without importing it."""
        module, _, attribute = self._absolute(self._entries[name]).partition(":")
        return _first_lines(module).get(attribute, "") if module.startswith("manypaths") else f"{module}.{attribute}"

    def _absolute(self, entry: str) -> str:
        return entry if entry.startswith("torch.") else f"{self.package}.{entry}"

    def _resolve(self, entry: str) -> Any:
        module, _, attribute = self._absolute(entry).partition(":")
        return getattr(importlib.import_module(module), attribute)


_registries: list[Registry] = []
TABLES = (
    ("recipes", "RECIPES"),
    ("studies", "STUDIES"),
    ("games", "GAMES"),
    ("sources", "SOURCES"),
    ("evaluation", "EXECUTIONS"),
    ("objectives", "OBJECTIVES"),
    ("penalties", "PENALTIES"),
    ("penalties", "PROJECTIONS"),
    ("oracles", "ORACLES"),
    ("rules", "RULES"),
    ("optim", "OPTIMISERS"),
    ("optim.averaging", "AVERAGES"),
    ("schedules", "SCHEDULES"),
    ("models", "MODELS"),
    ("data", "DATA_SETS"),
    ("metrics", "METRICS"),
)


@cache
def registries() -> dict[str, Registry]:
    """Every table of the library, by its kind, in the order in which ``manypaths list`` prints them."""
    tables = (getattr(importlib.import_module(f"manypaths.{place}"), name) for place, name in TABLES)
    return {table.kind: table for table in tables}


def registry_for(contract: Any) -> Registry | None:
    """The table whose entries implement ``contract``."""
    return next((r for r in _all() if r.contract is contract), None)


def lookup(name: str, contract: Any) -> Any:
    """The class that ``name`` stands for: a name of the contract's table, or a user's ``package.module:Class``.

    Checked against the contract before anything is called; for what a file may name see ``user_code``.
    """
    table = registry_for(contract)
    if ":" in name:
        what = table.kind if table is not None else contract.__name__
        target = user_code.load(name, what, contract)
    elif table is not None:
        target = table[name]
    else:
        raise InvalidType(f"{name!r}: no table of names exists for {contract.__name__}")
    return target


def name_of(target: Any) -> str:
    """The inverse of ``lookup``."""
    return next((name for r in _all() if (name := r.name_of(target))), f"{target.__module__}:{target.__qualname__}")


def _all() -> list[Registry]:
    registries()
    return _registries


@cache
def _first_lines(module: str) -> dict[str, str]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return {}
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    named = (node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef)))
    return {node.name: (ast.get_docstring(node) or "").partition("\n")[0] for node in named}
