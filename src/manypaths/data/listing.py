"""The pictures below a folder, in order, and what else lies there."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from manypaths.data.pictures import is_picture
from manypaths.errors import InvalidValue

_PARTS = {"train", "training", "valid", "val", "validation", "test"}
_SHOWN = 3


@dataclass(frozen=True)
class Listing:
    """Pictures, their labels where sub-folders are classes, and a line about what was passed over."""

    paths: list[Path]
    labels: Tensor | None
    notes: tuple[str, ...] = ()


@dataclass
class _Skipped:
    """What was passed over, by the reason."""

    folder: Path
    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, path: Path) -> None:
        self.found.setdefault(reason, []).append(path.relative_to(self.folder).as_posix())

    def note(self) -> tuple[str, ...]:
        parts = []
        for reason, names in sorted(self.found.items()):
            shown = ", ".join(ascii(name)[1:-1] for name in sorted(names)[:_SHOWN])
            parts.append(f"{reason}: {len(names):,} ({shown}{', ...' if names[_SHOWN:] else ''})")
        return (f"{self.folder.name}: passed over {'; '.join(parts)}",) if parts else ()


def listed(folder: Path) -> Listing:
    """All pictures below a folder, and their labels where it has sub-folders with pictures."""
    skipped = _Skipped(folder)
    loose = sorted(path for path in folder.iterdir() if not path.is_dir() and _taken(path, skipped))
    classes: dict[str, list[Path]] = {}
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        if _is_hidden(inner.name):
            skipped.add("hidden folders", inner)
        elif found := sorted(_below(inner, skipped)):
            classes[inner.name] = found
        else:
            skipped.add("sub-folders without pictures", inner)
    for path in [*loose, *(path for found in classes.values() for path in found)]:
        _expect_utf8(path.relative_to(folder), folder)
    if not loose and not classes:
        also = f"; {note[0]}" if (note := skipped.note()) else ""
        raise InvalidValue(
            f"{folder} holds no pictures: expected .png, .jpg or other files, or one sub-folder per class{also}"
        )
    if not classes:
        return Listing(loose, None, skipped.note())
    if loose:
        raise InvalidValue(
            f"{folder} holds {loose[0].name} beside the sub-folder {next(iter(classes))}: expected pictures, or one "
            "sub-folder per class"
        )
    if any(name.lower() in _PARTS for name in classes):
        raise InvalidValue(
            f"{folder} has the sub-folders {', '.join(classes)}, which are parts and no classes: expected one of them "
            "as path"
        )
    labels = [torch.full((len(found),), label) for label, found in enumerate(classes.values())]
    return Listing([path for found in classes.values() for path in found], torch.cat(labels), skipped.note())


def _below(top: Path, skipped: _Skipped) -> list[Path]:
    """The pictures in a folder and those inside it; links to folders are not followed, for they may lead back."""
    found = []
    for place, folders, files in os.walk(top):
        for name in sorted(folders):
            if _is_hidden(name):
                skipped.add("hidden folders", Path(place, name))
            elif Path(place, name).is_symlink():
                skipped.add("links to folders", Path(place, name))
        folders[:] = [name for name in folders if not _is_hidden(name)]
        found += [path for name in files if _taken(path := Path(place, name), skipped)]
    return found


def _taken(path: Path, skipped: _Skipped) -> bool:
    if path.name.startswith("."):
        return False  # .DS_Store and the like: every system leaves some
    if path.is_file() and is_picture(path):
        return True
    skipped.add("broken links" if path.is_symlink() and not path.exists() else "files of other kinds", path)
    return False


def _is_hidden(name: str) -> bool:
    """Folders that programs leave: ``.git``, ``.ipynb_checkpoints``, and what macOS puts into archives."""
    return name.startswith(".") or name == "__MACOSX"


def _expect_utf8(path: Path, folder: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InvalidValue(
            f"{folder} holds {os.fsencode(path)!r}, a name that is not UTF-8: rename it (convmv -f latin1 -t utf8)"
        ) from None
