"""Many games of one kind, stacked: each member moves as it would alone."""

from manypaths._exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(__name__)
