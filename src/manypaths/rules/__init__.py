"""Where, and how often, the oracle is asked."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

RULES = Registry(
    "rule",
    __name__,
    "base:Rule",
    {
        "simultaneous": "simultaneous:Simultaneous",
        "extragradient": "extragradient:Extragradient",
        "past-extragradient": "past_extragradient:PastExtragradient",
        "optimistic": "optimistic:Optimistic",
        "anchored": "anchored:Anchored",
        "variance-reduced-extragradient": "variance_reduced_extragradient:VarianceReducedExtragradient",
        "alternating-extrapolation": "alternating_extrapolation:AlternatingExtrapolation",
        "bias-corrected-extragradient": "bias_corrected:BiasCorrectedExtragradient",
        "normalised-extragradient": "normalised_extragradient:NormalisedExtragradient",
        "omega": "omega:Omega",
        "accelerated-optimistic": "accelerated_optimistic:AcceleratedOptimistic",
        "fast-optimistic": "fast_optimistic:FastOptimistic",
        "dual-halpern": "dual_halpern:DualHalpern",
        "stochastic-halpern": "stochastic_halpern:StochasticHalpern",
        "recursive-anchoring": "recursive_anchoring:RecursiveAnchoring",
        "competitive": "competitive:CompetitiveGradientDescent",
        "alternating": "alternating:Alternating",
        "lookahead": "lookahead:Lookahead",
    },
)

__getattr__, __dir__, __all__ = lazy_exports(__name__)
