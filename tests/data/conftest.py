"""A data directory of the test's own, and small official files."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from manypaths.data import cifar10, idx, mnist

sys.path.insert(0, str(Path(__file__).parent))

import tiny_files


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty data directory, and no network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MANYPATHS_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def small(home, monkeypatch) -> Path:
    """A data directory in which the official files may be smaller than they are."""
    monkeypatch.setattr(idx, "COUNTS", tiny_files.COUNTS)
    monkeypatch.setattr(cifar10, "RECORDS", 8)
    monkeypatch.setattr(mnist, "FILES", dataclasses.replace(mnist.FILES, unpacked={}))
    return home
