"""How a gradient is estimated."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

ORACLES = Registry(
    "oracle",
    __name__,
    "base:Oracle",
    {
        "stochastic": "stochastic:Stochastic",
        "full-batch": "full_batch:FullBatch",
        "svrg": "svrg:SVRG",
        "saga": "saga:SAGA",
        "storm": "storm:Storm",
        "page": "page:Page",
        "mars": "mars:Mars",
        "importance": "importance:Importance",
        "accelerated-svrg": "accelerated:AcceleratedSVRG",
        "consensus": "consensus:Consensus",
        "symplectic": "symplectic:Symplectic",
    },
)

__getattr__, __dir__, __all__ = lazy_exports(__name__)
