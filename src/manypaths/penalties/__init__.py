"""Critic regularisers: functions of the critic's gradient with respect to its input, and sets for its weights."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

PENALTIES = Registry(
    "penalty",
    __name__,
    "base:Penalty",
    {
        "gradient-penalty": "gradient_penalty:GradientPenalty",
        "dragan": "dragan:Dragan",
        "r1": "r1:R1",
        "r2": "r2:R2",
        "l2": "l2:L2",
        "lazy": "lazy:Lazy",
    },
)

PROJECTIONS = Registry("projection", __name__, "base:Projection", {"weight-clipping": "weight_clipping:WeightClipping"})

__getattr__, __dir__, __all__ = lazy_exports(__name__)
