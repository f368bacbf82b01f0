"""Data sets of the Hugging Face hub, by name."""

from __future__ import annotations

import importlib
import os
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from manypaths import fields
from manypaths.data.base import data_directory
from manypaths.data.parquet import ParquetPictures, label_tensor, parquet_files
from manypaths.data.pictures import Framing, Item, Pictures
from manypaths.data.splits import OfficialSplits
from manypaths.data.stored import RESIDENT_BYTES
from manypaths.errors import InvalidType, MissingData, unknown_name
from manypaths.files import require_plain_name
from manypaths.sources.eight_bits import Background, Kind
from manypaths.sources.pixels import Range

_OFFLINE = "HF_HUB_OFFLINE"
_PATIENCE = 0.5  # seconds to wait for the hub before going on without a network


@dataclass(frozen=True, kw_only=True)
class Hub(OfficialSplits):
    """A data set of pictures from the Hugging Face hub, or a local copy of its parquet files.

    ``<data directory>/hub/<repository>/`` is looked into first: ``train-*.parquet``, ``test-*.parquet`` there or in a
    folder inside it are read by pyarrow, without a network. Otherwise ``datasets`` loads it, from its own cache when
    the hub cannot be reached or ``HF_HUB_OFFLINE`` is set.

    Attributes:
        repository: name on the hub, ``owner/name``.
        configuration: where the repository has several.
        revision: a commit, to pin what is read.
        image, label: columns of the pictures and of the class indices (none: no labels).
        train, test: names of the repository's two parts.
        size, crop, mode, background, range: as of ``image-folder``.
        resident_bytes: above so many decoded bytes the images are mapped from a file.
    """

    repository: str
    configuration: str | None = None
    revision: str | None = None
    image: str = "image"
    label: str | None = "label"
    train: str = "train"
    test: str = "test"
    size: fields.PositiveInt | None = None
    crop: fields.PositiveInt | None = None
    mode: Kind | None = None
    background: Background = "white"
    range: Range | None = None
    resident_bytes: fields.NonNegativeInt = RESIDENT_BYTES

    def __post_init__(self) -> None:
        super().__post_init__()
        for word in self.repository.split("/", 1):
            require_plain_name(word, "each half of Hub.repository")

    def part(self, name: Literal["train", "test"]) -> Pictures:
        split = self.train if name == "train" else self.test
        framing = Framing(self.size, self.crop, self.mode, self.background, self.range)
        folder = data_directory() / "hub" / self.repository
        name_in_cache = self.repository.replace("/", "--")
        if files := parquet_files(folder, split):
            return ParquetPictures(
                name_in_cache,
                files,
                image=self.image,
                label=self.label,
                framing=framing,
                resident_bytes=self.resident_bytes,
            )
        found = HubPictures(name_in_cache, self._loaded(split, folder), self.image, self.label, framing)
        found.resident_bytes = self.resident_bytes
        return found

    def _loaded(self, split: str, folder: Path) -> Any:
        with _offline_when_unreachable():
            try:
                datasets = importlib.import_module("datasets")
            except ImportError:
                raise MissingData(
                    f"{self.repository} is not in {folder}, and the hub is read by datasets, which is not installed: "
                    "pip install 'manypaths[hub]', or put its parquet files there"
                ) from None
            offline = os.environ.get(_OFFLINE, "").upper() in ("1", "ON", "YES", "TRUE")
            try:
                found = datasets.load_dataset(self.repository, self.configuration, split=split, revision=self.revision)
            except (OSError, ValueError) as error:  # FileNotFoundError and ConnectionError among them
                first = str(error).partition("\n")[0]
                why = "there is no network and it is not in the cache of datasets" if offline else first
                raise MissingData(
                    f"the split {split!r} of {self.repository} could not be loaded: {why}; fetch it once with a "
                    f"network, or put its {split}-*.parquet into {folder}"
                ) from error
            for column in (self.image, *([self.label] if self.label else [])):
                if column not in found.column_names:
                    raise unknown_name(f"column of {self.repository}:", column, found.column_names)
            return found.cast_column(self.image, datasets.Image(decode=False))


class HubPictures(Pictures):
    """Pictures of a ``datasets.Dataset`` whose images are left encoded."""

    def __init__(self, name: str, dataset: Any, image: str, label: str | None, framing: Framing):
        self.name, self.dataset, self.image, self.framing = name, dataset, image, framing
        self.made_of = [name, str(getattr(dataset, "_fingerprint", "")), len(dataset), image, repr(framing)]
        self.labels = label_tensor(list(dataset[label]), f"{name}, column {label}") if label else None

    def __len__(self) -> int:
        return len(self.dataset)

    def items(self, start: int, stop: int) -> list[Item]:
        return [
            Item(f"{self.name}, {self.image} of row {row}", _contents(value, row))
            for row, value in enumerate(self.dataset[start:stop][self.image], start=start)
        ]


def _contents(value: Any, row: int) -> bytes | Path:
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        return value["bytes"]
    if isinstance(value, dict) and value.get("path"):
        return Path(value["path"])
    raise InvalidType(f"row {row} is {type(value).__name__}: expected a picture")


@contextmanager
def _offline_when_unreachable() -> Iterator[None]:
    """Say to ``datasets``, which reads the variable on import, when there is no network: it would retry for 23 s."""
    if os.environ.get(_OFFLINE) or _reachable():
        yield
        return
    os.environ[_OFFLINE] = "1"
    try:
        yield
    finally:
        del os.environ[_OFFLINE]


def _reachable() -> bool:
    """Whether the hub answers on its port; a proxy is taken at its word."""
    address = urllib.parse.urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    if address.scheme in urllib.request.getproxies():
        return True
    try:
        port = address.port or (80 if address.scheme == "http" else 443)
        with socket.create_connection((address.hostname or "", port), timeout=_PATIENCE):
            return True
    except OSError:
        return False
