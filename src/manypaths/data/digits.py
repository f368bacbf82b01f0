"""The digits that ship with scikit-learn."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from manypaths import fields
from manypaths.data.base import Data, DataSet
from manypaths.data.net_spec import NetRecipe, NetSpec
from manypaths.data.splits import require_held_out, validation_rows
from manypaths.errors import InvalidValue, MissingData

_TRAIN = 1500


@dataclass(frozen=True, kw_only=True)
class Digits(DataSet):
    """1,797 real 8x8 digits (UCI optical recognition, test part), 17 grey levels scaled to uint8; no network.

    ``train`` is the first 1,500 images in the data set's own order, ``test`` the other 297, by other writers. Scores
    compare with all of the images (297 would be too few), unless some are held out: then with ``test``.

    Attributes:
        split: which images; ``"valid"`` is cut off ``"train"``.
        held_out: how many of the last of the 1,500 are ``"valid"`` and not ``"train"``.
        limit: keep only the first images of the split.
    """

    nets: ClassVar[Mapping[str, NetSpec]] = {
        "digits-cnn": NetSpec("DigitsCnn", NetRecipe(epochs=40, at_least=0.93, batch=64))
    }

    split: Literal["all", "train", "valid", "test"] = "all"
    held_out: fields.NonNegativeInt = 0
    limit: fields.PositiveInt | None = None

    def __post_init__(self) -> None:
        fields.check(self)
        if self.split == "valid":
            require_held_out(self, self.held_out)
        if self.split == "all" and self.held_out:
            raise InvalidValue(f"held_out is {self.held_out} and split is 'all', every image: expected 'train'")

    def reference(self) -> Digits:
        return dataclasses.replace(self, split="test" if self.held_out else "all", limit=None)

    def validation(self) -> Digits:
        require_held_out(self, self.held_out)
        return dataclasses.replace(self, split="valid", limit=None)

    def load(self) -> Data:
        try:
            import sklearn.datasets  # noqa: F401
        except ImportError:
            raise MissingData(
                "the digits ship with scikit-learn, which is not installed: pip install 'manypaths[demo]'"
            ) from None
        images, labels = (tensor.clone() for tensor in _all())
        whole = Data(images, labels)
        return whole.take(self._rows(len(whole))).take(slice(0, self.limit))

    def _rows(self, count: int) -> slice:
        if self.split in ("all", "test"):
            return slice(0 if self.split == "all" else _TRAIN, count)
        return validation_rows(self.split, self.held_out, _TRAIN)


@functools.cache
def _all() -> tuple[Tensor, Tensor]:
    """Images (1797, 1, 8, 8) and labels; read once, for scikit-learn parses a text."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels).reshape(-1, 8, 8).mul(255 / 16).round().to(torch.uint8)[:, None]
    return images, torch.from_numpy(labels).long()
