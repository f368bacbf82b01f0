"""GAN losses: pure functions of the critic's scores."""

from manypaths.registry import Registry

OBJECTIVES = Registry(
    "objective",
    __name__,
    "base:Objective",
    {
        "minimax": "minimax:Minimax",
        "non-saturating": "non_saturating:NonSaturating",
    },
)
