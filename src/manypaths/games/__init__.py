"""What is evaluated: games, samples and the sources they come from."""

from manypaths.registry import Registry

GAMES = Registry(
    "game",
    __name__,
    "base:Game",
    {
        "bilinear": "bilinear:Bilinear",
        "quadratic": "quadratic:Quadratic",
        "adversarial": "adversarial:Adversarial",
    },
)

SOURCES = Registry(
    "source",
    __name__,
    "source:Source",
    {
        "paired": "paired:PairedSource",
    },
)
