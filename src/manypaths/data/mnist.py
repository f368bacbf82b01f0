"""MNIST, from the four standard idx files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from manypaths.data.base import Data
from manypaths.data.idx import IdxFiles
from manypaths.data.net_spec import NetRecipe, NetSpec
from manypaths.data.splits import OfficialSplits

# md5 of the unpacked files of the original distribution; a gzip file's own bytes depend on who packed it.
FILES = IdxFiles(
    name="MNIST",
    folder="mnist",
    mirror="https://ossci-datasets.s3.amazonaws.com/mnist",
    unpacked={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
)


@dataclass(frozen=True, kw_only=True)
class Mnist(OfficialSplits):
    """60,000 training and 10,000 test images of handwritten digits, 28x28 grey (LeCun, Cortes and Burges).

    Read from ``<data directory>/mnist/*-idx?-ubyte[.gz]``, downloaded once when absent and a network exists.

    Attributes:
        split: which images; ``"valid"`` is cut off the training part.
        held_out: how many of the last training images are ``"valid"`` and not ``"train"``.
        limit: keep only the first images of the split.
    """

    nets: ClassVar[Mapping[str, NetSpec]] = {
        "mnist-cnn": NetSpec("MnistCnn", NetRecipe(epochs=4, at_least=0.99)),
        "mnist-mlp": NetSpec("MnistMlp", NetRecipe(epochs=8, at_least=0.975, lr=1e-3)),
        "mnist-mlp-dropout": NetSpec("MnistMlp", NetRecipe(epochs=8, at_least=0.96, lr=1e-3), {"dropped": 0.2}),
    }

    def part(self, name: Literal["train", "test"]) -> Data:
        return FILES.part(name)
