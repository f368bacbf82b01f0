"""Critic regularisers: functions of the critic's gradient with respect to its input."""

from manypaths.registry import Registry

PENALTIES = Registry(
    "penalty",
    __name__,
    "base:Penalty",
    {
        "interpolated": "interpolated:Interpolated",
        "dragan": "dragan:Dragan",
        "r1": "r1:R1",
    },
)
