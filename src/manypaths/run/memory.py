"""How the process keeps memory between steps."""

from __future__ import annotations

import ctypes
import os
import sys

SETTINGS = {"MALLOC_MMAP_THRESHOLD_": (-3, (2**31 - 1, 32 << 20)), "MALLOC_TRIM_THRESHOLD_": (-1, (2**31 - 1,))}
"""Environment variables of glibc -> the parameter of ``mallopt`` that they set, and bytes, the most first: older ones
refuse to take blocks of more than 32 MiB from the heap. The order matters: whoever is refused the first must be left
alone, for any setting ends glibc's own growing thresholds."""


def keep_freed_memory() -> bool:
    """Have glibc keep freed memory for the next step instead of giving it back to the kernel; whether it will.

    By default it gives large blocks back as soon as they are free, and every step waits for the kernel to clear the
    same pages anew. The process then stays as large as it once was. It is the process's own setting, so nothing that
    is imported changes it: the command line does, and the worker processes of studies. ``MALLOC_*`` of these two and
    ``GLIBC_TUNABLES`` in the environment stay in force, and other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None or any(name in os.environ for name in (*SETTINGS, "GLIBC_TUNABLES")):
        return False
    return all(any(mallopt(parameter, most) == 1 for most in limits) for parameter, limits in SETTINGS.values())
