"""Calls of a network that was compiled, without the compiler."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def uncompiled(module: nn.Module) -> Iterator[None]:
    """Calls inside are eager, also where ``module.compile()`` was called.

    ``torch.func.grad`` of a compiled module is eager anyway, and makes the compiler give up on the module for good.
    """
    compiled = [(m, m._compiled_call_impl) for m in module.modules() if m._compiled_call_impl is not None]
    try:
        for m, _ in compiled:
            m._compiled_call_impl = None
        yield
    finally:
        for m, call in compiled:
            m._compiled_call_impl = call
