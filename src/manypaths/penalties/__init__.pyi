# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.penalties.base import Penalty as Penalty
from manypaths.penalties.dragan import Dragan as Dragan
from manypaths.penalties.gradient_penalty import GradientPenalty as GradientPenalty
from manypaths.penalties.l2 import L2 as L2
from manypaths.penalties.lazy import Lazy as Lazy
from manypaths.penalties.r1 import R1 as R1
from manypaths.penalties.r2 import R2 as R2
from manypaths.penalties.weight_clipping import WeightClipping as WeightClipping
from manypaths.registry import Registry

PENALTIES: Registry
PROJECTIONS: Registry
