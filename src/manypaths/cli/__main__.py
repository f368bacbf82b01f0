"""``python -m manypaths.cli``, as ``python -m manypaths``."""

import os
import sys

while sys.path and sys.path[0] in ("", os.getcwd()):
    sys.path.pop(0)

from manypaths.cli import main  # noqa: E402

main()
