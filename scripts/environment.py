"""Make the virtual environment: `python scripts/environment.py [EXTRA ...]`; the standard library only.

The environment variable TORCH says which PyTorch to install: `auto` (default), `cpu` or `cuda`. A plain `torch` on
Linux brings gigabytes of CUDA packages, which must never happen by accident: without an NVIDIA driver, `auto` asks for
the CPU wheel and, where none is in reach, says which line to run instead.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"


def main() -> int:
    extras = sys.argv[1:] or ["dev"]
    if sys.version_info < (3, 11):  # noqa: UP036 (whatever Python there is runs this script)
        return fail(f"Python {platform.python_version()} is too old: expected 3.11 to 3.13")
    python = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        print(f"making {ENVIRONMENT.relative_to(ROOT)} with Python {platform.python_version()}", flush=True)
        venv.create(ENVIRONMENT, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if error := install_torch(pip, python):
        return fail(error)
    package = f"{ROOT}[{','.join(extras)}]"
    return subprocess.call([*pip, "-c", str(ROOT / "constraints.txt"), "-e", package])


def install_torch(pip: list[str], python: Path) -> str | None:
    """Install the pinned torch unless some torch is there; what to do when that fails."""
    if subprocess.call([str(python), "-c", "import torch"], stderr=subprocess.DEVNULL) == 0:
        return None
    pinned = re.search(r"^torch==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.M)
    assert pinned, "constraints.txt pins no torch"
    choice = os.environ.get("TORCH") or "auto"  # make exports it empty
    if choice not in ("auto", "cpu", "cuda"):
        return f"TORCH is {choice!r}: expected auto, cpu or cuda"
    index = ["--index-url", os.environ["TORCH_INDEX"]] if os.environ.get("TORCH_INDEX") else []
    linux = platform.system() == "Linux" and platform.machine() == "x86_64"
    cpu = choice == "cpu" or (choice == "auto" and shutil.which("nvidia-smi") is None)
    wanted = f"torch=={pinned[1]}" + ("+cpu" if linux and cpu else "")
    print(f"installing {wanted}", flush=True)
    if subprocess.call([*pip, *index, wanted]) == 0:
        return None
    return (
        f"{wanted} could not be installed from pip's own index. For the CPU build run\n"
        "    make TORCH_INDEX=<the address of PyTorch's CPU wheels, see pytorch.org> ...\n"
        "or install any torch >= 2.6 into .venv yourself; TORCH=cuda takes the CUDA build (several GB)."
    )


def fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
