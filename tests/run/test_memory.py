"""Freed memory is kept where that can be asked for, and the environment has the last word."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from manypaths.run import memory

FAULTS = """
import resource
from manypaths.run.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(64 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = [faults() for _ in range(3)][-1]
asked = keep_freed_memory()
kept = [faults() for _ in range(3)][-1]
print(asked, given_back, kept)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to keep freed memory")
def test_the_kernel_is_asked_for_the_same_pages_once(monkeypatch) -> None:
    for name in memory.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    found = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True).stdout.split()
    assert found[0] == "True"
    assert int(found[1]) > 100, "64 MiB come anew from the kernel, in pages of 4 KiB or of 2 MiB"
    assert int(found[2]) < 10


def test_the_environment_has_the_last_word(monkeypatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000")
    assert not memory.keep_freed_memory()


def test_other_c_libraries_are_left_alone(monkeypatch) -> None:
    for name in memory.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not memory.keep_freed_memory()
