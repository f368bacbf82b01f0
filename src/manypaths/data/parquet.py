"""Pictures in a column of parquet files, in the layout of the Hugging Face hub."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from manypaths.data.pictures import Framing, Item, Pictures
from manypaths.data.stored import RESIDENT_BYTES, stamp
from manypaths.errors import InvalidType, InvalidValue, MissingData, unknown_name


def parquet_files(folder: Path, split: str) -> list[Path]:
    """The files of a split, ``<split>.parquet`` or ``<split>-00000-of-00002.parquet``, in a folder or one inside it."""
    patterns = (f"{split}.parquet", f"{split}-*.parquet", f"*/{split}.parquet", f"*/{split}-*.parquet")
    return next((found for pattern in patterns if (found := sorted(folder.glob(pattern)))), [])


class ParquetPictures(Pictures):
    """Pictures {bytes, path} in the column ``image``, class indices in the column ``label``, row group by row group."""

    def __init__(
        self,
        name: str,
        files: list[Path],
        *,
        image: str,
        label: str | None,
        framing: Framing,
        resident_bytes: int = RESIDENT_BYTES,
    ):
        self.name, self.files, self.framing, self.resident_bytes = name, files, framing, resident_bytes
        self.image = image
        self.made_of = [[str(path.resolve()), stamp(path)] for path in files] + [image, repr(framing)]
        self._opened = [_opened(path) for path in files]
        for path, file in zip(files, self._opened, strict=True):
            for column in (image, *([label] if label else [])):
                if column not in file.schema_arrow.names:
                    raise unknown_name(f"column of {path}:", column, file.schema_arrow.names)
        groups = [(file, i) for file in self._opened for i in range(file.num_row_groups)]
        self._groups = groups
        self._starts = [0, *accumulate(file.metadata.row_group(i).num_rows for file, i in groups)]
        self._last: tuple[int, list[Any]] = (-1, [])
        self.labels = self._labels(label) if label else None

    def __len__(self) -> int:
        return self._starts[-1]

    def items(self, start: int, stop: int) -> list[Item]:
        found = []
        for row in range(start, stop):
            group = bisect_right(self._starts, row) - 1
            found.append(Item(f"{self.files[0].parent}, {self.image} of row {row}", self._picture(group, row)))
        return found

    def _picture(self, group: int, row: int) -> bytes:
        if self._last[0] != group:
            file, i = self._groups[group]
            self._last = (group, file.read_row_group(i, columns=[self.image]).column(self.image).to_pylist())
        value = self._last[1][row - self._starts[group]]
        contents = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(contents, bytes):
            kind = type(contents).__name__
            where = f"{self.files[0].parent}, {self.image} of row {row}"
            raise InvalidType(f"{where} is {kind}: expected the bytes of a picture")
        return contents

    def _labels(self, column: str) -> Tensor:
        found = [file.read(columns=[column]).column(column).to_pylist() for file in self._opened]
        return label_tensor([label for part in found for label in part], f"{self.files[0].parent}, column {column}")


def label_tensor(labels: list[Any], where: str) -> Tensor:
    """Class indices from a column, int64."""
    wrong = next((label for label in labels if not isinstance(label, int) or label < 0), None)
    if labels and (wrong is not None or None in labels):
        raise InvalidType(
            f"{where} holds {wrong!r}: expected class indices >= 0, or label=none (--set data.label=none)"
        )
    return torch.tensor(labels, dtype=torch.int64)


def _opened(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingData(f"reading {path} needs pyarrow: pip install 'manypaths[data]'") from None
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        first = str(error).partition("\n")[0]
        raise InvalidValue(f"{path} is not a readable parquet file ({first}): fetch it again") from error
