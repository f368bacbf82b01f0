"""GAN losses: pure functions of the critic's scores."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

OBJECTIVES = Registry(
    "objective",
    __name__,
    "base:Objective",
    {
        "minimax": "minimax:Minimax",
        "non-saturating": "non_saturating:NonSaturating",
        "non-saturating-probabilities": "non_saturating_probabilities:NonSaturatingProbabilities",
        "wasserstein": "wasserstein:Wasserstein",
        "hinge": "hinge:Hinge",
        "least-squares": "least_squares:LeastSquares",
        "relativistic-paired": "relativistic:RelativisticPaired",
        "relativistic-average": "relativistic:RelativisticAverage",
    },
)

__getattr__, __dir__, __all__ = lazy_exports(__name__)
