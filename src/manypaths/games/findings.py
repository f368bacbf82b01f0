"""What looks like a mistake in a game, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One mistake. ``fatal``: nothing can be measured before it is mended."""

    name: str
    what: str
    remedy: str
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"
