"""Public names that are imported on first use, listed once, in a package's stub."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from manypaths.former_names import current


def lazy_exports(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` (PEP 562) of a package, from the imports in its ``__init__.pyi``.

    So type checkers and the interpreter read one list, and ``import manypaths`` loads no part that nobody names. Some
    functions are called like the module that holds them: in the package, the name is the function.
    """
    stub = Path(str(sys.modules[package].__file__)).with_suffix(".pyi")
    imports = [node for node in ast.parse(stub.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    homes = {alias.asname: (str(node.module), alias.name) for node in imports for alias in node.names if alias.asname}

    class Package(ModuleType):
        def __setattr__(self, name: str, value: Any) -> None:
            if not (name in homes and isinstance(value, ModuleType)):  # as the import system does with a submodule
                super().__setattr__(name, value)

    def resolve(name: str) -> Any:
        if name not in homes:
            now = current(name, homes)
            hint = f": it is called {now!r} now" if now else ""
            raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")
        module, attribute = homes[name]
        value = getattr(importlib.import_module(module), attribute)
        setattr(sys.modules[package], name, value)
        return value

    sys.modules[package].__class__ = Package
    return resolve, lambda: sorted(homes), sorted(homes)
