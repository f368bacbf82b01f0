"""How a gradient is estimated."""

from manypaths.registry import Registry

ORACLES = Registry(
    "oracle",
    __name__,
    "base:Oracle",
    {
        "stochastic": "stochastic:Stochastic",
        "full": "full:Full",
        "svrg": "svrg:SVRG",
        "saga": "saga:SAGA",
        "importance": "importance:Importance",
        "accelerated-svrg": "accelerated:AcceleratedSVRG",
        "consensus": "consensus:Consensus",
        "symplectic": "symplectic:Symplectic",
    },
)
