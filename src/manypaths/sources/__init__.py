"""Where samples come from: finite sums of data and latents, infinite streams."""

from manypaths.registry import Registry

SOURCES = Registry(
    "source",
    __name__,
    "base:Source",
    {
        "paired": "paired:PairedSource",
    },
)
