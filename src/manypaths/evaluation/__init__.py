"""How a field is computed: precision, order in memory, kernels, CUDA graphs, two evaluations at once."""

from manypaths._exports import lazy_exports
from manypaths.registry import Registry

EXECUTIONS = Registry(
    "execution",
    __name__,
    "execution:Execution",
    {
        "torch": "execution:Execution",
    },
)

__getattr__, __dir__, __all__ = lazy_exports(__name__)
