# What this package offers, once: type checkers read it here and the package resolves it from here, on first use.
from manypaths.rules.accelerated_optimistic import AcceleratedOptimistic as AcceleratedOptimistic
from manypaths.rules.alternating import Alternating as Alternating
from manypaths.rules.alternating_extrapolation import AlternatingExtrapolation as AlternatingExtrapolation
from manypaths.rules.anchored import Anchored as Anchored
from manypaths.rules.base import Rule as Rule
from manypaths.rules.bias_corrected import BiasCorrectedExtragradient as BiasCorrectedExtragradient
from manypaths.rules.competitive import CompetitiveGradientDescent as CompetitiveGradientDescent
from manypaths.rules.dual_halpern import DualHalpern as DualHalpern
from manypaths.rules.extragradient import Extragradient as Extragradient
from manypaths.rules.fast_optimistic import FastOptimistic as FastOptimistic
from manypaths.rules.lookahead import Lookahead as Lookahead
from manypaths.rules.normalised_extragradient import NormalisedExtragradient as NormalisedExtragradient
from manypaths.rules.omega import Omega as Omega
from manypaths.rules.optimistic import Optimistic as Optimistic
from manypaths.rules.past_extragradient import PastExtragradient as PastExtragradient
from manypaths.rules.recursive_anchoring import RecursiveAnchoring as RecursiveAnchoring
from manypaths.rules.reshuffled import seg_ffa as seg_ffa
from manypaths.rules.reshuffled import seg_rr as seg_rr
from manypaths.rules.simultaneous import Simultaneous as Simultaneous
from manypaths.rules.stochastic_halpern import StochasticHalpern as StochasticHalpern
from manypaths.rules.variance_reduced_extragradient import VarianceReducedExtragradient as VarianceReducedExtragradient
from manypaths.step import StepInfo as StepInfo
from manypaths.registry import Registry

RULES: Registry
