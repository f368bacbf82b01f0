"""Fashion-MNIST, from four idx files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from manypaths.data.base import Data
from manypaths.data.idx import IdxFiles
from manypaths.data.splits import OfficialSplits

# The authors publish the md5 of the packed files: a download is checked by them, a file on disk by its shape.
FILES = IdxFiles(
    name="Fashion-MNIST",
    folder="fashion-mnist",
    mirror="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    packed={
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)


@dataclass(frozen=True, kw_only=True)
class FashionMnist(OfficialSplits):
    """60,000 training and 10,000 test images of ten kinds of clothing, 28x28 grey (Xiao, Rasul and Vollgraf 2017).

    Read from ``<data directory>/fashion-mnist/*-idx?-ubyte[.gz]``, downloaded once when absent and a network exists.

    Attributes:
        split: which images; ``"valid"`` is cut off the training part.
        held_out: how many of the last training images are ``"valid"`` and not ``"train"``.
        limit: keep only the first images of the split.
    """

    def part(self, name: Literal["train", "test"]) -> Data:
        return FILES.part(name)
