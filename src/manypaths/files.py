"""Files that are whole or absent."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PREFIX = ".manypaths-writing-"


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes ``path`` only when it is complete and on the disk: a crash leaves old or new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_atomically(path: Path, contents: bytes | str) -> None:
    """Replace the contents of ``path`` in one piece."""
    with atomic_file(path) as file:
        file.write(contents.encode() if isinstance(contents, str) else contents)


def remove_leftovers(folder: Path, *, older_than: float = 0.0) -> None:
    """Delete the temporary files of writers that were killed: those left alone for so many seconds."""
    for path in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if not older_than or time.time() - path.stat().st_mtime >= older_than:
                path.unlink()
