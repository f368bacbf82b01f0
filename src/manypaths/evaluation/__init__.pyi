# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.evaluation.execution import Execution as Execution
from manypaths.registry import Registry

EXECUTIONS: Registry
