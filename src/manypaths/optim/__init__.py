"""What is done with a gradient: stock torch optimisers, and averages of the iterates."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

OPTIMISERS = Registry(
    "optimiser",
    __name__,
    "torch.optim:Optimizer",
    {
        "sgd": "torch.optim:SGD",
        "adam": "torch.optim:Adam",
        "adamw": "torch.optim:AdamW",
        "rmsprop": "torch.optim:RMSprop",
        "negative-momentum": "negative_momentum:NegativeMomentumSGD",
        "vrad": "vradam:VRAd",
        "muon": "muon:MuonAdamW",
    },
)

__getattr__, __dir__, __all__ = lazy_exports(__name__)
