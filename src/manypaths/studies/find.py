"""A study by its name."""

from __future__ import annotations

import importlib

from manypaths.errors import InvalidType, unknown_name
from manypaths.experiments.base import Study
from manypaths.studies import STUDIES


def find_study(text: str) -> Study:
    """A study by its name, or a user's own as ``package.module:function``."""
    module, sign, name = text.partition(":")
    if not sign:
        return STUDIES[text]()
    try:
        made = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError, ValueError) as error:
        raise unknown_name(f"study ({error})", text, STUDIES) from error
    if not isinstance(made, Study):
        raise InvalidType(f"{text} returned {made!r}: expected a Study")
    return made
