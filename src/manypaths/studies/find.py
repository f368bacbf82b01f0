"""A study by its name."""

from __future__ import annotations

import inspect

from manypaths import user_code
from manypaths.errors import InvalidType
from manypaths.experiments.base import Study
from manypaths.studies import STUDIES


def find_study(text: str) -> Study:
    """A study by its name, or a user's own as ``package.module:function``."""
    if ":" not in text:
        return STUDIES[text]()
    function = user_code.load(text, "study", expected="package.module:function")
    if not inspect.isfunction(function) or "return" in function.__annotations__:  # else what it returns will say it
        user_code.check_contract(function, text, Study)
    made = function()
    if not isinstance(made, Study):
        raise InvalidType(f"{text} returned {made!r}: expected a Study")
    return made
