"""The digits that ship with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from manypaths import fields
from manypaths.data.base import Data, DataSet
from manypaths.errors import MissingData


@dataclass(frozen=True)
class Digits(DataSet):
    """1,797 real 8x8 digits (UCI optical recognition, test part), 17 grey levels scaled to uint8; no network.

    ``train`` is the first 1,500 images in the data set's own order, ``test`` the other 297, by other writers.
    """

    split: Literal["all", "train", "test"] = "all"

    def __post_init__(self) -> None:
        fields.check(self)

    def reference(self) -> Digits:
        return Digits(split="all")  # 297 held-out images would be too few

    def load(self) -> Data:
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise MissingData(
                "the digits ship with scikit-learn, which is not installed: pip install 'manypaths[demo]'"
            ) from None
        pixels, labels = load_digits(return_X_y=True)
        images = torch.from_numpy(pixels).reshape(-1, 8, 8).mul(255 / 16).round().to(torch.uint8)[:, None]
        part = {"all": slice(None), "train": slice(0, 1500), "test": slice(1500, None)}[self.split]
        return Data(images[part], torch.from_numpy(labels).long()[part])
