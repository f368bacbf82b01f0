"""How a field is computed: precision, order in memory, kernels, CUDA graphs, two evaluations at once."""

from manypaths.registry import Registry

EXECUTIONS = Registry(
    "execution",
    __name__,
    "execution:Execution",
    {
        "torch": "execution:Execution",
    },
)
