"""Experiments as data: cells, claims that are fixed before the runs, statistics, power, verdicts, tables."""

from manypaths._exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(__name__)
