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


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch) -> None:
    for name in (*memory.SETTINGS, "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to keep freed memory")
def test_the_kernel_is_asked_for_the_same_pages_once() -> None:
    found = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True).stdout.split()
    assert found[0] == "True"
    assert int(found[1]) > 100, "64 MiB come anew from the kernel, in pages of 4 KiB or of 2 MiB"
    assert int(found[2]) < 10


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_the_environment_has_the_last_word(monkeypatch, name) -> None:
    monkeypatch.setenv(name, "1000")
    assert not memory.keep_freed_memory()


def test_other_c_libraries_are_left_alone(monkeypatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not memory.keep_freed_memory()


@pytest.mark.parametrize(("most", "asked"), [(2**31, [-3, -1]), (32 << 20, [-3, -3, -1]), (0, [-3, -3])])
def test_an_older_glibc_gets_what_it_takes_and_is_else_left_alone(monkeypatch, most, asked) -> None:
    """It limits the size of blocks from the heap, and any setting would end its own growing thresholds."""
    calls = []

    class Old:
        @staticmethod
        def mallopt(parameter: int, value: int) -> int:
            calls.append(parameter)
            return int(parameter == -1 or value <= most)

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Old())
    assert memory.keep_freed_memory() == (most > 0)
    assert calls == asked
