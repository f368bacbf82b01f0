"""Averages of the iterates, kept beside them for evaluation and restarts."""

from manypaths.registry import Registry

AVERAGES = Registry(
    "average",
    __name__,
    "base:Average",
    {
        "uniform": "uniform:UniformAverage",
        "ema": "ema:EMA",
    },
)
