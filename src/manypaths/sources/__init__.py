"""Where samples come from: finite sums of data and latents, infinite streams."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

SOURCES = Registry(
    "source",
    __name__,
    "base:Source",
    {
        "paired": "paired:PairedSource",
    },
)

__getattr__, __dir__, __all__ = lazy_exports(__name__)
