# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.distributed.distributed import Distributed as Distributed
