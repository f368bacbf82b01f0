"""A torch ``Dataset`` of the user's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Subset

from manypaths import fields, user_code
from manypaths.data.base import Data
from manypaths.data.splits import HashedSplits
from manypaths.data.stored import RESIDENT_BYTES, gigabytes
from manypaths.errors import InvalidType, InvalidValue
from manypaths.sources.items import Key, entries
from manypaths.sources.stacking import stack_dataset


@dataclass(frozen=True, kw_only=True)
class TorchDataset(HashedSplits):
    """A map-style torch ``Dataset`` by name, of uint8 images (C, H, W) or pictures, alone or with a label.

    ``dataset`` is a class or function that is called without arguments; put yours into a function that returns the data
    set. It is read into memory once and must fit: nothing tells whether a Python object still gives the same images.

    Attributes:
        dataset: ``package.module:name``.
        image, label: the keys of items that are dicts, or the places in tuples; by default a tuple's first two entries.
        resident_bytes: above so many bytes it is refused.
    """

    dataset: fields.CodeName
    image: Key | None = None
    label: Key | None = None
    resident_bytes: fields.NonNegativeInt = RESIDENT_BYTES

    def load(self) -> Data:
        dataset = _made(self.dataset)
        if not hasattr(dataset, "__len__"):
            raise InvalidType(f"{self.dataset} has no length: expected a map-style data set")
        rows = self.rows(len(dataset))
        item = dataset[int(rows[0])]
        first = stack_dataset([item], image=self.image, label=self.label).real
        if isinstance(entries(item, self.image, self.label, "items")[1], str):
            raise InvalidType(
                f"{self.dataset} gives text as labels: expected class indices, which are the same in every split; "
                "number the classes in the data set"
            )
        if not first.is_floating_point() and first.ndim < 4:
            raise InvalidType(
                f"{self.dataset} gives {first.dtype} of shape {tuple(first.shape[1:])}: expected uint8 images "
                "(C, H, W) or pictures; a grey image is (1, H, W), and points are floats"
            )
        if first.dtype != torch.uint8 and first.ndim > 2:
            raise InvalidType(
                f"{self.dataset} gives {first.dtype} of shape {tuple(first.shape[1:])}: expected uint8 images "
                "(C, H, W) or pictures (leave out ToTensor, which makes floats)"
            )
        if (size := len(rows) * math.prod(first.shape[1:])) > self.resident_bytes:
            raise InvalidValue(
                f"{self.dataset} takes {gigabytes(size)}: expected at most resident_bytes, "
                f"{gigabytes(self.resident_bytes)}; write the images to an .npy file once and use 'array', "
                "which is mapped"
            )
        found = stack_dataset(Subset(dataset, rows.tolist()), image=self.image, label=self.label)
        labels, notes = found.labels, found.notes
        if labels is not None and (labels.numel() != len(rows) or labels.is_floating_point()):
            kind = f"{labels.dtype} of shape {tuple(labels.shape[1:])}"
            labels, notes = None, (*notes, f"{self.dataset}: labels are {kind} and no class indices, and are left out")
        return Data(found.real, None if labels is None else labels.flatten(), notes=notes)


def _made(name: str) -> Any:
    found = user_code.load(name, "dataset", expected="package.module:name")
    if not callable(found):
        raise InvalidType(f"dataset is {name!r}, which is {type(found).__name__}: expected a class or a function")
    return found()
