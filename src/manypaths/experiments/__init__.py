"""Experiments as data: cells, claims that are fixed before the runs, statistics, power, verdicts, tables."""
