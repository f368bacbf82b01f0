"""Where, and how often, the oracle is asked."""

from manypaths.registry import Registry

RULES = Registry(
    "rule",
    __name__,
    "base:Rule",
    {
        "simultaneous": "simultaneous:Simultaneous",
        "extragradient": "extragradient:Extragradient",
        "alternating": "alternating:Alternating",
    },
)
