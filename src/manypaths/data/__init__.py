"""Data sets, read into one resident tensor."""

from manypaths.registry import Registry

DATA_SETS = Registry(
    "data set",
    __name__,
    "base:DataSet",
    {
        "digits": "digits:Digits",
        "mnist": "mnist:Mnist",
        "ring": "synthetic:Ring",
    },
)
