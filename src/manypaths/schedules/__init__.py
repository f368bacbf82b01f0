"""How numbers change while a game is played."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

SCHEDULES = Registry(
    "schedule",
    __name__,
    "base:Schedule",
    {
        "cosine": "cosine:Cosine",
        "linear": "linear:Linear",
        "steps": "steps:Steps",
    },
)

__getattr__, __dir__, __all__ = lazy_exports(__name__)
