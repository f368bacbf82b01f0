"""The toy study is imported by its name, here and in worker processes, which take over this path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
