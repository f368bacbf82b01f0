"""Tidy tables: named columns of equal length, one row per measurement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from manypaths.errors import InvalidType, InvalidValue, unknown_name
from manypaths.files import atomic_file


class Table:
    """Columns as one-dimensional arrays; a single value stands for a column of it.

    Text is kept as objects, a missing number is NaN, any other missing value is ``None``.
    """

    def __init__(self, columns: Mapping[str, Any]):
        arrays = {name: _array(name, values) for name, values in columns.items()}
        lengths = {name: len(a) for name, a in arrays.items() if a.ndim == 1}
        if len(set(lengths.values())) > 1:
            raise InvalidValue(f"columns differ in length: {lengths}")
        self._rows = next(iter(lengths.values()), 1 if arrays else 0)
        self._columns = {name: a if a.ndim else np.repeat(a, self._rows) for name, a in arrays.items()}

    @property
    def names(self) -> list[str]:
        return list(self._columns)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._columns:
            raise unknown_name("column", name, self._columns)
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __len__(self) -> int:
        return self._rows

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows as plain dictionaries."""
        for values in zip(*(column.tolist() for column in self._columns.values()), strict=True):
            yield dict(zip(self._columns, values, strict=True))

    def take(self, index: Any) -> Table:
        """The rows of an index array or of a mask."""
        return Table({name: column[index] for name, column in self._columns.items()})

    def where(self, **equal: Any) -> Table:
        """The rows in which each named column has the given value."""
        mask = np.ones(len(self), dtype=bool)
        for name, value in equal.items():
            mask &= np.asarray(self[name] == value, dtype=bool)
        return self.take(mask)

    def groups(self, *names: str) -> list[tuple[tuple[Any, ...], Table]]:
        """The rows by the values of the named columns, in the order of their first appearance."""
        places: dict[tuple[Any, ...], list[int]] = {}
        for i, key in enumerate(zip(*(self[name].tolist() for name in names), strict=True)):
            places.setdefault(key, []).append(i)
        return [(key, self.take(np.array(index))) for key, index in places.items()]

    def with_columns(self, columns: Mapping[str, Any]) -> Table:
        """A copy with further columns in front, each of a single value."""
        if both := [name for name in columns if name in self]:
            raise InvalidValue(f"the column {both[0]!r} is a setting and a result: expected different names")
        fixed = {name: np.full(len(self), value, dtype=_kind(value)) for name, value in columns.items()}
        return Table({**fixed, **self._columns})

    @classmethod
    def concatenate(cls, tables: Iterable[Table]) -> Table:
        """One below the other; a column that a table lacks is missing in its rows."""
        import pyarrow as pa

        arrow = [table._arrow() for table in tables]
        if not arrow:
            return cls({})
        try:
            return cls._from_arrow(pa.concat_tables(arrow, promote_options="permissive"))
        except pa.ArrowTypeError as error:
            raise InvalidType(f"a column holds text in one cell and numbers in another: {error}") from error

    def write(self, path: Path, about: Mapping[str, Any] | None = None) -> None:
        """Parquet, whole or absent; ``about`` is kept beside the columns (``read_about``)."""
        import pyarrow.parquet as parquet

        arrow, said = self._arrow(), json.loads(json.dumps(dict(about or {})))
        said = {**said, _SUM: _checksum(said, Table._from_arrow(arrow))}
        arrow = arrow.replace_schema_metadata({_ABOUT: json.dumps(said)})
        with atomic_file(path) as file:
            parquet.write_table(arrow, file, write_page_checksum=True)

    @classmethod
    def read(cls, path: Path) -> Table:
        """What was written: the checksum of names, values and what is kept beside them is compared, where there is
        one, and that of each page."""
        import pyarrow as pa
        import pyarrow.parquet as parquet

        try:
            arrow = parquet.read_table(path, page_checksum_verification=True)
            table, about = cls._from_arrow(arrow), _about(arrow.schema)
        except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
            raise InvalidValue(f"{path} is damaged ({(str(error).splitlines() or [''])[0]})") from error
        if about.pop(_SUM, None) not in (None, _checksum(about, table)):
            raise InvalidValue(f"{path} is damaged (its checksum is wrong)")
        return table

    def _arrow(self) -> Any:
        import pyarrow as pa

        return pa.table({name: pa.array(column, from_pandas=False) for name, column in self._columns.items()})

    @classmethod
    def _from_arrow(cls, arrow: Any) -> Table:
        return cls({name: arrow.column(name).to_numpy() for name in arrow.column_names})


_ABOUT, _SUM = "manypaths", "checksum"


def read_about(path: Path) -> dict[str, Any]:
    """What ``Table.write`` kept beside the columns."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        return {name: value for name, value in _about(parquet.read_schema(path)).items() if name != _SUM}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidValue(f"{path} is damaged ({str(error).splitlines()[0]})") from error


def _about(schema: Any) -> dict[str, Any]:
    found = json.loads((schema.metadata or {}).get(_ABOUT.encode(), b"{}"))
    if not isinstance(found, dict):
        raise ValueError("what is kept beside its columns is no object")
    return found


def _checksum(about: Mapping[str, Any], table: Table) -> str:
    """Of what is kept beside the columns, and of their names, kinds and values."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in table.names:
        column = table[name]
        digest.update(f"{name!r} {column.dtype} {len(column)} ".encode())
        digest.update(repr(column.tolist()).encode() if column.dtype.hasobject else column.tobytes())
    return digest.hexdigest()[:32]


def _array(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidValue(f"the column {name!r} is no column: {error}") from error
    if array.ndim > 1:
        raise InvalidValue(f"the column {name!r} has shape {array.shape}: expected one dimension")
    return array.astype(object) if array.dtype.kind == "U" else array


def _kind(value: Any) -> Any:
    return object if value is None or isinstance(value, str) else None
