"""Critic regularisers: functions of the critic's gradient with respect to its input, and sets for its weights."""

from manypaths.registry import Registry

PENALTIES = Registry(
    "penalty",
    __name__,
    "base:Penalty",
    {
        "interpolated": "interpolated:Interpolated",
        "dragan": "dragan:Dragan",
        "r1": "r1:R1",
        "r2": "r2:R2",
        "lazy": "lazy:Lazy",
    },
)

PROJECTIONS = Registry("projection", __name__, "base:Projection", {"clip": "clip:Clip"})
