"""What the user got wrong, in one line: the value, what was expected, the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from manypaths.former_names import current


class InputError(Exception):
    """Something outside the library is wrong; the message alone tells the user what to do.

    The command line prints these in one line and exits with status 2. Every other exception is a bug and
    keeps its traceback.
    """


class InvalidValue(InputError, ValueError):
    """A value or a name that cannot be used."""


class Untrusted(InvalidValue):
    """Code that a file names, and whoever reads the file has not said that it is to be trusted."""


class InvalidType(InputError, TypeError):
    """A value of the wrong kind, or two parts that do not fit each other."""


class MissingData(InputError, FileNotFoundError):
    """A data set is not on disk and could not be fetched."""


class LostProcess(InputError, RuntimeError):
    """Another process of a distributed run has ended before this one."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InvalidValue:
    """The error for a name that no table holds, with the nearest name or, failing that, all of them."""
    known = sorted(known)
    if now := current(name, known):
        return InvalidValue(f"unknown {kind} {name!r}: it is called {now!r} now")
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else "expected one of " + ", ".join(known)
    return InvalidValue(f"unknown {kind} {name!r}: {hint}")


class LikelyMistake(UserWarning):
    """A game that can be played and is most likely not the one that was meant; said once, at construction."""
