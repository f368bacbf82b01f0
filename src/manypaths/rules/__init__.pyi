# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.rules.alternating import Alternating as Alternating
from manypaths.rules.alternating_extrapolation import AlternatingExtrapolation as AlternatingExtrapolation
from manypaths.rules.anchored import Anchored as Anchored
from manypaths.rules.base import Rule as Rule
from manypaths.rules.competitive import CompetitiveGradientDescent as CompetitiveGradientDescent
from manypaths.rules.extragradient import Extragradient as Extragradient
from manypaths.rules.lookahead import Lookahead as Lookahead
from manypaths.rules.optimistic import Optimistic as Optimistic
from manypaths.rules.past_extragradient import PastExtragradient as PastExtragradient
from manypaths.rules.simultaneous import Simultaneous as Simultaneous
from manypaths.rules.variance_reduced_extragradient import VarianceReducedExtragradient as VarianceReducedExtragradient
from manypaths.step import StepInfo as StepInfo
from manypaths.registry import Registry

RULES: Registry
