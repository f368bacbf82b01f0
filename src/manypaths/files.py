"""Files that are whole or absent."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from manypaths.errors import InvalidValue

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ +-]{0,99}")
LARGEST_JSON = 1 << 24
_PREFIX = ".manypaths-writing-"


def require_plain_name(name: str, what: str) -> None:
    """Refuse what would not be the name of one file here: a path, a hidden file, a name of 101 characters."""
    if not PLAIN.fullmatch(name) or name.endswith((".", " ")):
        raise InvalidValue(
            f"{what} is {name!r}: expected a plain name (letters, digits, '-', '_', '.', '+', spaces; at most 100), "
            "for files are called after it"
        )


def plain_name(text: str) -> str:
    """``text`` as a part of a file's name: itself where it is plain."""
    return text if PLAIN.fullmatch(text) else re.sub(r"[^A-Za-z0-9._ +-]", "-", text).lstrip("._ +-")[:100]


@contextlib.contextmanager
def atomic_file(path: Path, *, keep: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write that becomes ``path`` only when it is complete and on the disk: a crash leaves old or new.

    ``keep``: where the old one goes, until the next one follows it; between the two moves only that one exists.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        if keep is not None and path.exists():
            os.replace(path, keep)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_atomically(path: Path, contents: bytes | str) -> None:
    """Replace the contents of ``path`` in one piece."""
    with atomic_file(path) as file:
        file.write(contents.encode() if isinstance(contents, str) else contents)


def damage_of_archive(path: Path) -> str | None:
    """What is wrong with a zip archive (torch's files are such), by the checksum of each of its records."""
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with zipfile.ZipFile(path) as archive:
            record = archive.testzip()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, zlib.error) as error:
        return str(error) or type(error).__name__
    return None if record is None else f"the checksum of {record.partition('/')[2] or record} is wrong"


def read_json(path: Path) -> Any:
    """The contents of a JSON file, or one line that says what is wrong with it."""
    try:
        if (size := path.stat().st_size) > LARGEST_JSON:
            raise InvalidValue(f"{path} has {size:,} bytes: expected JSON of at most {LARGEST_JSON:,}")
        return json.loads(path.read_text(encoding="utf-8"))
    except InvalidValue:
        raise
    except ValueError as error:  # no JSON, no UTF-8, or a number of too many digits
        raise InvalidValue(f"{path} is not JSON ({error})") from error
    except RecursionError:
        raise InvalidValue(f"{path} is nested too deeply for a settings file") from None


def remove_leftovers(folder: Path, *, older_than: float = 0.0) -> None:
    """Delete the temporary files of writers that were killed: those left alone for so many seconds."""
    for path in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if not older_than or time.time() - path.stat().st_mtime >= older_than:
                path.unlink()
