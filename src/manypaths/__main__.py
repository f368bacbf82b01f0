"""``python -m manypaths``, which puts the current folder first on the path: its files must not hide others'."""

import os
import sys

while sys.path and sys.path[0] in ("", os.getcwd()):
    sys.path.pop(0)

from manypaths.cli import main  # noqa: E402

main()
