# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.objectives.base import Objective as Objective
from manypaths.objectives.hinge import Hinge as Hinge
from manypaths.objectives.least_squares import LeastSquares as LeastSquares
from manypaths.objectives.minimax import Minimax as Minimax
from manypaths.objectives.non_saturating import NonSaturating as NonSaturating
from manypaths.objectives.non_saturating_probabilities import NonSaturatingProbabilities as NonSaturatingProbabilities
from manypaths.objectives.relativistic import (
    RelativisticAverage as RelativisticAverage,
    RelativisticPaired as RelativisticPaired,
)
from manypaths.objectives.wasserstein import Wasserstein as Wasserstein
from manypaths.registry import Registry

OBJECTIVES: Registry
