# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.registry import Registry
from manypaths.schedules.base import Schedule as Schedule
from manypaths.schedules.cosine import Cosine as Cosine
from manypaths.schedules.linear import Linear as Linear
from manypaths.schedules.steps import Steps as Steps

SCHEDULES: Registry
