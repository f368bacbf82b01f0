"""Damaged files of a study are one line that says what to do; the others are kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import toy_study

from manypaths.errors import InvalidValue
from manypaths.experiments.cells import Task, perform
from manypaths.experiments.store import Store
from manypaths.experiments.tables import Table

ONE, TWO = toy_study.cell(0), toy_study.cell(1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path / "study")
    found.create({"study": "toy", "scale": "smoke"})
    for cell in (ONE, TWO):
        assert perform(Task(cell, found.directory(cell))).error is None
    return found


def result(store: Store, cell) -> Path:
    return store.directory(cell) / "result.parquet"


def test_every_flipped_bit_of_a_result_is_found_or_harmless(store) -> None:
    path, good = result(store, ONE), list(store.result(ONE).rows())
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 5):  # names of columns in the footer, too, which no page's checksum covers
        contents = bytearray(whole)
        contents[place] ^= 1 << place % 8
        path.write_bytes(bytes(contents))
        try:
            assert list(store.result(ONE).rows()) == good
        except InvalidValue:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("contents", [b"", b"PAR1", b"garbage" * 100])
def test_a_torn_result(contents, store) -> None:
    result(store, ONE).write_bytes(contents)
    with pytest.raises(InvalidValue, match=r"result.parquet is damaged \(.*\): delete .*, and the cell is run again"):
        store.result(ONE)
    assert len(store.result(TWO)) == 2


def test_the_result_of_another_cell(store) -> None:
    shutil.copy(result(store, TWO), result(store, ONE))
    with pytest.raises(InvalidValue, match="is the result of another cell: delete .*, and the cell is run again"):
        store.result(ONE)


def test_the_result_of_another_function_with_the_same_settings(store) -> None:
    """Settings alone do not say whose a result is: {"seed": 0} may be anybody's."""
    path = result(store, ONE)
    for about in (
        {"function": "toy_study:drawn", "settings": ONE.settings},
        {"settings": ONE.settings, "cell": "0" * 20},
    ):
        Table({"value": [1.0]}).write(path, about)
        with pytest.raises(InvalidValue, match="is the result of another cell"):
            store.result(ONE)


def test_results_from_before_checksums_and_addresses_are_read(store) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    path = result(store, ONE)
    about = json.dumps({"function": "moved.since:measured", "settings": ONE.settings, "seconds": 1.0})
    parquet.write_table(pa.table({"value": [1.0]}).replace_schema_metadata({"manypaths": about}), path)
    assert store.result(ONE)["value"].tolist() == [1.0]
    parquet.write_table(pa.table({"value": [2.0]}), path)
    assert store.result(ONE)["value"].tolist() == [2.0]


@pytest.mark.parametrize(("text", "said"), [("{", "is not JSON"), ("[]", "does not say"), ("{}", "does not say which")])
def test_a_damaged_study_file(text, said, store) -> None:
    store.study.write_text(text)
    with pytest.raises(InvalidValue, match=said):
        store.check("toy", "smoke")
