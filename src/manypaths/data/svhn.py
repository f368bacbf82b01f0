"""Street View House Numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from manypaths.data.base import Data, class_indices, data_directory, missing
from manypaths.data.net_spec import NetRecipe, NetSpec
from manypaths.data.splits import OfficialSplits
from manypaths.errors import InvalidValue, MissingData

_ORIGIN = "http://ufldl.stanford.edu/housenumbers"


@dataclass(frozen=True, kw_only=True)
class Svhn(OfficialSplits):
    """73,257 training and 26,032 test images of digits on houses, 32x32 in colour (Netzer et al. 2011).

    Read from ``<data directory>/svhn/``: ``train_32x32.mat`` and ``test_32x32.mat``, by scipy. Their label 10 is the
    digit 0 and becomes 0.

    Attributes:
        split: which images; ``"valid"`` is cut off the training part.
        held_out: how many of the last training images are ``"valid"`` and not ``"train"``.
        limit: keep only the first images of the split.
        extra: also the 531,131 easier images of ``extra_32x32.mat``, after the training images.
    """

    nets: ClassVar[Mapping[str, NetSpec]] = {"svhn-cnn": NetSpec("CifarCnn", NetRecipe(epochs=10, at_least=0.90))}

    extra: bool = False

    def part(self, name: Literal["train", "test"]) -> Data:
        names = [name, "extra"] if self.extra and name == "train" else [name]
        parts = [_read(f"{file}_32x32.mat") for file in names]
        if len(parts) == 1:
            return parts[0]
        labels = [part.labels for part in parts if part.labels is not None]
        return Data(torch.cat([part.real for part in parts]), torch.cat(labels))


def _read(name: str) -> Data:
    """X of shape (32, 32, 3, N) in uint8, y in 1 .. 10."""
    folder = data_directory() / "svhn"
    path = folder / name
    if not path.is_file():
        raise missing("SVHN", folder, name, _ORIGIN)
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingData(f"reading {path} needs scipy: pip install 'manypaths[data]'") from None
    try:
        found: dict[str, Any] = loadmat(path, variable_names=["X", "y"])
        images, labels = found["X"], found["y"]
    except Exception as error:  # scipy's reader has many errors for a damaged file
        raise InvalidValue(f"{path} is not a readable .mat file with X and y ({error}): fetch it again") from error
    if images.dtype != np.uint8 or images.shape[:3] != (32, 32, 3) or images.shape[3] != labels.size:
        found_words = f"X of shape {images.shape} in {images.dtype} and {labels.size} labels"
        raise InvalidValue(f"{path} has {found_words}: expected uint8 (32, 32, 3, N)")
    real = torch.from_numpy(np.ascontiguousarray(images.transpose(3, 2, 0, 1)))
    return Data(real, class_indices(torch.from_numpy(labels.astype(np.int64)) % 10, 10, path))
